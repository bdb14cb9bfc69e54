# Signed checkpoints and proofs, checked by Go's sumdb and by openssl; a server that is killed while it
# seals; restores, standbys and copies of a log; rewritten history.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $dir = PostgreSQL::Test::Utils::tempdir();
my $files = 0;

sub file_of
{
	my ($text) = @_;
	my $file = "$dir/" . ++$files;
	append_to_file($file, $text);
	return $file;
}

sub new_key
{
	my ($name) = @_;
	system_or_bail('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', "$dir/$name.pem");
	chmod 0600, "$dir/$name.pem" or die $!;
	return "$dir/$name.pem";
}

# Go's sumdb: results of commands of test/go/check.go.
my $check = "$dir/check";
{
	local $ENV{GO111MODULE} = 'off';
	local $ENV{GOPATH} = '/usr/share/gocode';
	local $ENV{GOCACHE} = "$dir/go-cache";
	system_or_bail('go', 'build', '-o', $check, "$FindBin::RealBin/../go/check.go");
}

sub batch
{
	my (@commands) = @_;
	my $input = join('', map { join("\t", @$_) . "\n" } @commands);
	IPC::Run::run([ $check, 'batch' ], '<', \$input, '>', \my $output) or die 'check failed';
	return [ map { s/:.*//r } split /\n/, $output ];
}

my $key = new_key('signing');
my $conf = qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0 # checkpoints come when the test says
auditchain.signing_key_file = '$key'
};
my $node = new_node('primary', allows_streaming => 1, has_archiving => 0);
$node->append_conf('postgresql.conf', $conf);
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id bigserial PRIMARY KEY, tenant text, note text);
	SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 2);
});

# A value with its line breaks.
sub value
{
	my ($server, $query) = @_;
	return pack('H*', $server->safe_psql('postgres', "SELECT encode(convert_to(($query), 'UTF8'), 'hex')"));
}

sub newest_note
{
	my ($server) = @_;
	return value($server, q{SELECT note FROM auditchain.checkpoints ORDER BY tree_size DESC, incarnation DESC LIMIT 1});
}
my $size = 0;
for my $count (1, 5, 300, 1, 700, 70000)
{
	$node->safe_psql('postgres', qq{
		INSERT INTO events (tenant, note) SELECT 't' || i % 3, 'note' FROM generate_series(1, $count) i;
		CALL auditchain.checkpoint('events');});
	$size += $count;
}
my $vkey = value($node, "SELECT auditchain.verifier_key('events')");
my @notes = map { value($node, "SELECT note FROM auditchain.checkpoints WHERE tree_size = $_") }
  split /\n/, $node->safe_psql('postgres', 'SELECT tree_size FROM auditchain.checkpoints ORDER BY 1');
is(scalar @notes, 6, 'six checkpoints');

my @commands = map { [ 'note', $vkey, file_of($_) ] } @notes;
is_deeply(batch(@commands), [ ('accepted') x 6 ], 'Go accepts the notes');
is_deeply(batch(map { [ 'note', $vkey, file_of(s/\n\d+\n/\n7\n/r) ] } @notes),
	[ ('refused') x 6 ], 'and no others');

# The vkey of the cosignature is the same key with type 4.
my ($name, $public) = $vkey =~ /^(.*)\+[0-9a-f]{8}\+(.*)$/;
my $raw = `printf %s '$public' | base64 -d | tail -c 32 | od -An -v -tx1 | tr -d ' \\n'`;
my $keyid = substr(
	$node->safe_psql('postgres', "SELECT encode(sha256(convert_to('$name', 'UTF8') || '\\x0a04$raw'), 'hex')"), 0, 8);
my $cosigner = "$name+$keyid+" . $node->safe_psql('postgres', "SELECT encode('\\x04$raw', 'base64')");
is_deeply(batch([ 'cosignature', $cosigner, file_of($notes[-1]) ]), ['accepted'], 'nor does it refuse the time');

# Inclusion of entries all over the log, and of none that is not in it.
my @entries = map { [ split /\|/ ] } split /\n/, $node->safe_psql(
	'postgres', qq{
	SELECT chain_id, chain_position FROM events WHERE id IN (1, 2, 6, 7, 306, 307, 1007, 1008, 1263, $size)
	OR id % 7001 = 0});
my (@right, @wrong);
for my $entry (@entries)
{
	my ($chain, $position) = @$entry;
	my $proof = file_of(value($node, "SELECT auditchain.inclusion_proof('events', $chain, $position)"));
	my $leaf = value($node,
		"SELECT auditchain.leaf(e) FROM events e WHERE chain_id = $chain AND chain_position = $position");
	push @right, [ 'inclusion', $vkey, $proof, file_of($leaf) ];
	push @wrong, [ 'inclusion', $vkey, $proof, file_of($leaf =~ s/.\n\z/x\n/r) ];
}
cmp_ok(scalar @right, '>', 15, 'proofs to check');
is_deeply(batch(@right), [ ('accepted') x @right ], 'Go accepts proofs of inclusion');
is_deeply(batch(@wrong), [ ('refused') x @wrong ], 'and none of another leaf');

# Consistency of all pairs.
my @sizes = map { /\n(\d+)\n/ ? $1 : die } @notes;
my @consistent;
for my $old (0 .. $#notes)
{
	for my $new ($old .. $#notes)
	{
		my $proof = $node->safe_psql('postgres',
			"SELECT unnest(auditchain.consistency_proof('events', $sizes[$old], $sizes[$new]))");
		push @consistent,
		  [ 'consistency', $vkey, file_of($notes[$old]), file_of($notes[$new]), file_of($proof eq '' ? '' : "$proof\n") ];
	}
}
is_deeply(batch(@consistent), [ ('accepted') x @consistent ], 'Go accepts proofs of consistency');

# openssl: the note's text under the key itself.
my ($text, $signature) = $notes[-1] =~ /^(.*\n)\n\x{e2}\x{80}\x{94} \S+ (\S+)\n/s or die $notes[-1];
system_or_bail('openssl', 'pkey', '-in', $key, '-pubout', '-out', "$dir/public.pem");
my $sigfile = file_of('');
system_or_bail('sh', '-c', "printf %s '$signature' | base64 -d | tail -c 64 > $sigfile");
is(system("openssl pkeyutl -verify -pubin -inkey $dir/public.pem -rawin -in @{[file_of($text)]} -sigfile $sigfile >/dev/null"),
	0, 'openssl accepts the signature');

# What is stored of the tree, a byte an entry at most.
cmp_ok(
	$node->safe_psql('postgres', q{SELECT pg_total_relation_size('auditchain.tree_hash') + pg_total_relation_size('auditchain.sealed_range')}),
	'<', $size + 100_000, 'the stored tree is small');

# A standby has checkpoints and proofs, without the key, and makes none.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "auditchain.signing_key_file = ''");
$standby->start;
like($standby->safe_psql('postgres', q{SELECT message FROM auditchain.verify('events')}),
	qr/^All $size audit events verified. Chain integrity intact. $size of them sealed by 6 checkpoints.$/,
	'verified on the standby');
is($standby->safe_psql('postgres', q{SELECT message FROM auditchain.verify_head('events')}),
	"All 3 chain heads verified against the checkpoint of $size entries.", 'so are its heads');
is_deeply(
	batch([ 'inclusion', $vkey, file_of(value($standby, "SELECT auditchain.inclusion_proof('events', 1, 1)")), $right[0][3] ]),
	['accepted'], 'proof by the standby');
my (undef, undef, $stderr) = $standby->psql('postgres', q{CALL auditchain.checkpoint('events')});
like($stderr, qr/cannot be sealed here.*server is a standby/s, 'no checkpoint on the standby');

# Promoted, it goes on with the tree under another name.
$standby->promote;
$standby->append_conf('postgresql.conf', "auditchain.signing_key_file = '$key'");
$standby->restart;
$standby->safe_psql('postgres', q{
	INSERT INTO events (tenant, note) VALUES ('t1', 'after promotion');
	CALL auditchain.checkpoint('events')});
my $promoted = newest_note($standby);
isnt((split /\n/, $promoted)[0], (split /\n/, $notes[-1])[0], 'another origin');
is( $standby->safe_psql('postgres', q{
	SELECT b.incarnation, auditchain.verify_consistency(a.tree_size, a.root, b.tree_size, b.root,
		auditchain.consistency_proof('events', a.tree_size, b.tree_size))
	FROM auditchain.checkpoints a, auditchain.checkpoints b
	WHERE a.incarnation = 1 AND b.incarnation = 2 ORDER BY a.tree_size DESC LIMIT 1}),
	'2|t', 'which goes on from the old tree');
is($standby->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('events')}), 't', 'and is intact');
$standby->stop;

# So does a restored dump.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), "$dir/dump" ], 'restore');
$node->safe_psql('restored', q{CALL auditchain.checkpoint('events')});
is($node->safe_psql('restored', 'SELECT count(DISTINCT incarnation), count(DISTINCT verifier_key) FROM auditchain.checkpoints'),
	'2|2', 'a restored dump has a life of its own');
is($node->safe_psql('restored', q{SELECT intact FROM auditchain.verify('events')}), 't', 'and is intact');

# The server is killed at each step of sealing: whatever note was seen before is one of the same log, and
# it can be sealed again.
sub kill_while_sealing
{
	my ($step, $blocker) = @_;
	my $before = newest_note($node);
	$node->safe_psql('postgres', q{INSERT INTO events (tenant, note) SELECT 'k' || i % 2, 'x' FROM generate_series(1, 300) i});
	my $holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; $blocker");
	my $sealing = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{CALL auditchain.checkpoint('events')} ],
		'>', '/dev/null', '2>', '/dev/null');
	ok($node->poll_query_until('postgres',
			q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CALL%'}),
		"sealing waits: $step");
	is(newest_note($node), $before, 'nothing of it is seen');
	$node->stop('immediate');
	$sealing->finish;
	eval { $holder->quit };
	$node->start;
	is(newest_note($node), $before, 'nor after the crash');
	$node->safe_psql('postgres', q{CALL auditchain.checkpoint('events')});
	my $after = newest_note($node);
	my ($old, $new) = map { /\n(\d+)\n/ ? $1 : die } $before, $after;
	my $proof = $node->safe_psql('postgres', "SELECT unnest(auditchain.consistency_proof('events', $old, $new))");
	is_deeply(
		batch([ 'consistency', $vkey, file_of($before), file_of($after), file_of("$proof\n") ]),
		['accepted'], 'the next note goes on from the last');
	return;
}
for my $table ('sealed_range', 'tree_hash', 'checkpoint', 'daily_root')
{
	kill_while_sealing($table, "LOCK TABLE auditchain.$table IN EXCLUSIVE MODE");
}

# Under load, at any moment: notes that somebody has seen stay true.
append_to_file("$dir/load.sql", q{\set tenant random(1, 5)
INSERT INTO events (tenant, note) VALUES ('l' || :tenant, 'load');
});
my @seen;
for my $round (1 .. ($ENV{AUDITCHAIN_TEST_ROUNDS} // 5))
{
	my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 20, '-f', "$dir/load.sql", '-d', $node->connstr('postgres') ],
		'>', '/dev/null', '2>', '/dev/null');
	my $sealer = IPC::Run::start(
		[ 'sh', '-c', 'for i in $(seq 1000); do psql -XAtq -d "$0" -c "CALL auditchain.checkpoint(\'events\')" || exit 1; done',
			$node->connstr('postgres') ],
		'>', '/dev/null', '2>', '/dev/null');
	my $end = Time::HiRes::time() + 0.5 + rand;
	while (Time::HiRes::time() < $end)
	{
		push @seen, newest_note($node);
	}
	$node->stop('immediate');
	$_->finish for $load, $sealer;
	$node->start;
}
$node->safe_psql('postgres', q{CALL auditchain.checkpoint('events')});
my $last = newest_note($node);
my ($last_size) = $last =~ /\n(\d+)\n/;
my %distinct = map { $_ => 1 } @seen;
my @pairs;
for my $note (keys %distinct)
{
	my ($old) = $note =~ /\n(\d+)\n/;
	my $proof = $node->safe_psql('postgres', "SELECT unnest(auditchain.consistency_proof('events', $old, $last_size))");
	push @pairs, [ 'consistency', $vkey, file_of($note), file_of($last), file_of($proof eq '' ? '' : "$proof\n") ];
}
cmp_ok(scalar @pairs, '>', 3, scalar(@pairs) . ' notes were seen under load');
is_deeply(batch(@pairs), [ ('accepted') x @pairs ], 'all of them stay true');
is($node->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('events')}), 't', 'intact after all');

# History rewritten as a whole by a superuser, who has the tree made anew, too: the note that somebody has
# kept shows it.
sub quoted
{
	my ($note) = @_;
	return "convert_from('\\x" . unpack('H*', $note) . "', 'UTF8')";
}
is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify_since('events', @{[quoted($last)]})"),
	't', 'a kept note is of the log');
$node->safe_psql('postgres', q{
	BEGIN;
	ALTER TABLE events DISABLE TRIGGER ALL;
	UPDATE events SET note = 'forged' WHERE chain_id = 1 AND chain_position >= 100;
	CREATE FUNCTION rewrite() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		e events;
		previous bytea := (SELECT checksum FROM events WHERE chain_id = 1 AND chain_position = 99);
	BEGIN
		FOR e IN SELECT * FROM events WHERE chain_id = 1 AND chain_position >= 100 ORDER BY chain_position LOOP
			UPDATE events SET previous_checksum = previous,
				checksum = sha256(convert_to(encode(previous, 'hex') || auditchain.payload(e), 'UTF8'))
			WHERE id = e.id RETURNING checksum INTO previous;
		END LOOP;
	END $$;
	SELECT rewrite();
	ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
	COMMIT;});
is($node->safe_psql('postgres', q{SELECT kind FROM auditchain.violations('events')}),
	'checkpoint_mismatch', 'rewritten history is found');
$node->safe_psql('postgres', q{
	DELETE FROM auditchain.checkpoint;
	DELETE FROM auditchain.sealed_range;
	DELETE FROM auditchain.tree_hash;
	CALL auditchain.checkpoint('events')});
is($node->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('events')}), 't', 'not if the tree was made anew');
like($node->safe_psql('postgres', "SELECT message FROM auditchain.verify_since('events', @{[quoted($last)]})"),
	qr/checkpoint_mismatch/, 'but by a note that was kept');

# Signed anew with another key; with a signature that is none.
my $other = new_key('other');
$node->safe_psql('postgres', "ALTER SYSTEM SET auditchain.signing_key_file = '$other'");
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('auditchain.signing_key_file') LIKE '%other%'});
$node->safe_psql('postgres', 'SELECT auditchain.reload_keys()');
like($node->safe_psql('postgres', q{SELECT detail FROM auditchain.violations('events')}),
	qr/signed by another key than the server's/, 'another key');
like($node->safe_psql('postgres', q{SELECT message FROM auditchain.verify_head('events')}),
	qr/First: checkpoint_mismatch: of the checkpoint of \d+ entries, it is signed by another key than the server's$/,
	'which verify_head() sees, too');
$node->safe_psql('postgres', q{CALL auditchain.checkpoint('events')});
is($node->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('events')}), 't', 'until it has signed');
isnt(value($node, "SELECT auditchain.verifier_key('events')"), $vkey, 'a new verifier key');
$node->safe_psql('postgres', q{
	UPDATE auditchain.checkpoint SET renewed_note = overlay(renewed_note PLACING 'AAAA' FROM length(renewed_note) - 20)});
like($node->safe_psql('postgres', q{SELECT detail FROM auditchain.violations('events')}),
	qr/its signature is not valid/, 'a forged time');
like($node->safe_psql('postgres', q{SELECT violations || message FROM auditchain.verify_head('events')}),
	qr/^1Chain.*its signature is not valid$/, 'which verify_head() sees, too');
$node->safe_psql('postgres', q{
	UPDATE auditchain.checkpoint SET renewed_note = overlay(note PLACING 'AAAA' FROM length(note) - 250)});
like($node->safe_psql('postgres', q{SELECT detail FROM auditchain.violations('events')}),
	qr/its signature is not valid|its note is none/, 'a forged signature');

# An older copy of the data directory, put back: a kept note shows that, too.
$node->safe_psql('postgres', q{INSERT INTO events (tenant, note) VALUES ('t1', 'x'); CALL auditchain.checkpoint('events')});
$node->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
system_or_bail('cp', '-a', $node->data_dir, $copy->data_dir);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
$copy->append_conf('postgresql.conf', "unix_socket_directories = '" . $copy->host . "'");
$node->start;
$node->safe_psql('postgres', q{INSERT INTO events (tenant, note) VALUES ('t1', 'y'); CALL auditchain.checkpoint('events')});
my $kept = newest_note($node);
$copy->start;
like($copy->safe_psql('postgres', "SELECT message FROM auditchain.verify_since('events', @{[quoted($kept)]})"),
	qr/tail_missing: the checkpoint is of \d+ entries, the log has sealed \d+/, 'a database restored to the past');
$copy->stop;
$node->stop;

done_testing();
