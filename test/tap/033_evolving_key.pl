# The evolving receipt key: each epoch's is erased, from its file and from memory, so that whoever gets
# hold of the present one and of everything else cannot rewrite, cut off or re-date what was sealed in
# an earlier epoch without `auditchain receipts` noticing, which has the seed.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $dir = "$tmp/keys";    # the server's
mkdir $dir or die $!;
my ($key, $seed) = ("$dir/receipt.key", "$tmp/receipt.seed");
my $epoch_length = 4;

sub run_program
{
	my (@arguments) = @_;
	IPC::Run::run([ $program, @arguments ], '<', '/dev/null', '>', \my $stdout, '2>', \my $stderr);
	return ($? >> 8, $stdout, $stderr);
}

sub write_key
{
	my ($file, $text) = @_;
	unlink $file;
	append_to_file($file, $text);
	chmod 0600, $file or die $!;
	return;
}

# keygen

my ($status, $stdout, $stderr) = run_program('keygen', 'evolving', $key, $seed, '--epoch', "${epoch_length}s");
is("$status $stdout", "0 auditchain.receipt_key_file = '$key'\n", 'keygen evolving');
like($stderr, qr/Take \S*receipt\.seed away/, 'it says what to do with the seed');
for my $file ($key, $seed)
{
	is((stat $file)[2] & 0777, 0600, 'for its owner only');
}
like(slurp_file($key), qr/^auditchain-evolving-key 1 0 \d+ $epoch_length [0-9a-f]{64}\n\z/, 'a key of epoch 0');
my ($start, $seed_hex) = slurp_file($seed) =~ /^auditchain-evolving-seed 1 0 (\d+) $epoch_length ([0-9a-f]{64})\n\z/;
ok($seed_hex, 'a seed');
is((run_program('keygen', 'evolving', $key, "$tmp/other"))[0], 2, 'no file is overwritten');
is((run_program('keygen', 'evolving', "$tmp/x", $seed))[0], 2, 'nor a seed');
ok(!-e "$tmp/x", 'and no key is made without one');
is((run_program('keygen', 'evolving', "$tmp/x", "$tmp/y", '--epoch', '0s'))[0], 2, 'an epoch has a length');

# The keys of all epochs, worked out with nothing of auditchain's.
my @secrets = (pack 'H*', $seed_hex);

sub hkdf
{
	my ($secret, $info) = @_;
	return hmac_sha256("$info\x01", hmac_sha256($secret, "\0" x 32));
}

sub secret_of
{
	my ($epoch) = @_;
	push @secrets, hkdf($secrets[-1], 'auditchain next epoch') while @secrets <= $epoch;
	return $secrets[$epoch];
}

sub epoch_now { return int((time - $start) / $epoch_length); }

sub key_epoch
{
	my ($epoch, $hex) = slurp_file($key) =~ /^auditchain-evolving-key 1 (\d+) $start $epoch_length ([0-9a-f]{64})$/m
	  or die 'no evolving key';
	is($hex, unpack('H*', secret_of($epoch)), "the file has the key of epoch $epoch");
	return $epoch;
}

# Waits for so many more epochs, until their key is in its file.
sub pass_epochs
{
	my ($count) = @_;
	my $until = epoch_now() + $count;
	my $deadline = time + 60 + $count * $epoch_length;
	while (time < $deadline)
	{
		my ($epoch) = slurp_file($key) =~ /auditchain-evolving-key 1 (\d+)/;
		return if $epoch >= $until;
		select undef, undef, undef, 0.1;
	}
	die "epoch $until does not come";
}

# A server, with plain receipts first

my $plain = 'c0ffee00' x 8;
my $plain_key = "$dir/plain.key";
write_key($plain_key, "$plain\n");
my $node = new_node('evolving');
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.receipt_key_file = '$plain_key'
auditchain.checkpoint_interval = 1
});
$node->start;
my $psql = sub { return $node->safe_psql('postgres', @_) };
$psql->(
	q{
	CREATE EXTENSION auditchain;
	CREATE ROLE auditor LOGIN;
	CREATE TABLE events (id serial PRIMARY KEY, tenant text, note text);
	SELECT auditchain.protect('events', chain_by => '{tenant}', receipts => true);
	GRANT SELECT ON events TO auditor;
	INSERT INTO events (tenant, note) VALUES ('acme', 'plain'), ('Café "Zoë"', 'plain')});

sub state_of_key
{
	return $psql->(q{SELECT value, advice FROM auditchain.status() WHERE item = 'receipt key'});
}

sub use_key
{
	my ($setting, $value) = @_;
	$psql->($_)
	  for map { "ALTER SYSTEM SET auditchain.$_ = '" . ($_ eq $setting ? $value : '') . "'" } 'receipt_key_file', 'receipt_key_command';
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('auditchain.$setting') = '$value'");
	my (undef, $done) = $node->psql('postgres', 'SELECT auditchain.reload_keys()');
	return $done;
}

# What cannot hold an evolving key

is(use_key('receipt_key_command', "cat $key"), 'f', 'a command cannot give an evolving key');
like(state_of_key(), qr/\|auditchain.receipt_key_command gives an evolving key, and only a file can hold one/, 'and status() says so');
is(use_key('receipt_key_file', $seed), 'f', 'a server needs no seed');
like(state_of_key(), qr/holds the seed of an evolving key, which belongs elsewhere/, 'and is told so');
symlink $key, "$dir/link" or die $!;
is(use_key('receipt_key_file', "$dir/link"), 'f', 'nor is a link replaced');
chmod 0500, $dir;
is(use_key('receipt_key_file', $key), 'f', 'nor a file in a directory that takes no other');
like(state_of_key(), qr/\|Cannot replace "\Q$key\E": Permission denied.*must belong to/, 'with the reason');
chmod 0700, $dir;
is($psql->(q{SELECT count(*) FROM events WHERE length(receipt) = 32}), '2', 'the plain key was kept');

# From plain secrets to an evolving one

sleep 1 while epoch_now() < 2;    # so that there are epochs before
my $key_line = slurp_file($key);
write_key($key, "$key_line$plain\n");
is(use_key('receipt_key_file', $key), 't', 'a file with an evolving key, and a retired secret');
my $first_epoch = epoch_now();
like(state_of_key(), qr/^epoch \d+, accepted: [0-9a-f]{8}\|$/, 'status() shows the epoch');
cmp_ok(key_epoch(), '>=', $first_epoch, 'it was brought up to date at once');
like(slurp_file($key), qr/\n$plain\n\z/, 'the retired secret is still there');
is((stat $key)[2] & 0777, 0600, 'the file is for its owner only');

$psql->(q{
	CREATE TABLE shortened (id serial PRIMARY KEY, note text);
	CREATE TABLE unsealed (id serial PRIMARY KEY, note text);
	SELECT auditchain.protect('shortened', receipts => true), auditchain.protect('unsealed', receipts => true, lanes => 1);
	GRANT SELECT ON shortened, unsealed TO auditor});

for my $round (1 .. 4)
{
	$psql->(q{
		INSERT INTO events (tenant, note) SELECT CASE WHEN i % 3 = 0 THEN 'Café "Zoë"' ELSE 'acme' END, 'note ' || i FROM generate_series(1, 20) i;
		INSERT INTO shortened (note) SELECT 'x' FROM generate_series(1, 5);
		INSERT INTO unsealed (note) SELECT 'x' FROM generate_series(1, 5)});
	pass_epochs(1);
}

# The receipts are what they should be, with their epochs

sub receipt_of
{
	my ($epoch, $log_id, $chain_key, $lane, $position, $checksum) = @_;
	utf8::encode($chain_key) if utf8::is_utf8($chain_key);
	return pack('N', $epoch)
	  . hmac_sha256("auditchain/v1\n$log_id\n$chain_key/$lane\n$position\n$checksum\n", hkdf(secret_of($epoch), $chain_key));
}

my @rows = split /\n/, $psql->(q{
	SELECT encode(receipt, 'hex'), l.log_id, key, lane, chain_position, encode(checksum, 'hex')
	FROM events JOIN auditchain.chain c USING (chain_id) JOIN auditchain.log l ON l.log_id = c.log_id WHERE length(receipt) = 36
	ORDER BY id});
is(scalar(@rows), 80, 'plain INSERTs work, and have receipts with epochs');
my (%epochs, $wrong);
for (@rows)
{
	my ($receipt, @place) = split /\|/;
	my $epoch = hex substr $receipt, 0, 8;
	$epochs{$epoch} = 1;
	$wrong++ if $receipt ne unpack 'H*', receipt_of($epoch, @place);
}
is($wrong, undef, 'as HKDF and HMAC give them from the seed');
cmp_ok(scalar(keys %epochs), '>=', 3, 'of several epochs');

# What the server can say of them

like($psql->(q{SELECT message FROM auditchain.verify('events')}),
	qr/^All 82 audit events verified\. Chain integrity intact\. .*\d+ receipts of other epochs cannot be checked here\.$/,
	'verify() says what it cannot check');
$psql->(q{INSERT INTO events (tenant, note) VALUES ('acme', 'new')});
my $fresh = q{FROM events WHERE id = (SELECT max(id) FROM events)};
my @fresh = $psql->(qq{INSERT INTO events (tenant, note) VALUES ('acme', 'newer');
	SELECT auditchain.verify_receipt('events', chain_id, chain_position), (auditchain.verify_entry('events', chain_id, chain_position)).message $fresh});
like($fresh[0], qr/^t\|Audit event verified\. It follows the one before it\./, 'a receipt of the present epoch is checked');
($status, $stdout, $stderr) = $node->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT auditchain.verify_receipt('events', chain_id, chain_position) FROM events WHERE note = 'note 1' ORDER BY id LIMIT 1");
like($stderr, qr/ERROR:  LC012: the receipt cannot be checked here.*auditchain receipts/s, 'an older one is not, and not silently');
is($psql->(q{SELECT auditchain.verify_receipt('events', chain_id, chain_position) FROM events WHERE id = 1}), 't', 'nor is a plain one forgotten');
is( $psql->(q{
	BEGIN;
	ALTER TABLE events DISABLE TRIGGER ALL;
	UPDATE events SET receipt = '\xffff0000'::bytea || substr(receipt, 5) WHERE id = 10;
	SELECT kind FROM auditchain.violations('events') WHERE kind <> 'guard_disabled';
	ROLLBACK}), 'receipt_invalid', 'one of an epoch to come is a violation');

# Old keys are gone

my $gone = key_epoch() - 1;
ok(!-e "$key.new", 'no other file has a key');
my $held = do
{
	my ($text) = slurp_file($key);
	grep { $text =~ unpack('H*', secret_of($_)) } 0 .. $gone;
};
is($held, 0, 'the file has none of an earlier epoch');

# The secrets, as bytes, that stand in the writable memory of a process; undef where it cannot be read.
sub secrets_in_memory
{
	my ($pid) = @_;
	open my $maps, '<', "/proc/$pid/maps" or return;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	my %found;
	while (my $line = <$maps>)
	{
		my ($from, $to) = $line =~ /^(\w+)-(\w+) rw/ or next;
		($from, $to) = (hex $from, hex $to);
		for (my $at = $from; $at < $to; $at += 1 << 24)
		{
			my $size = $to - $at < (1 << 24) + 64 ? $to - $at : (1 << 24) + 64;
			sysseek $memory, $at, 0;
			sysread $memory, my $bytes, $size or next;
			$found{$_} = 1 for grep { index($bytes, secret_of($_)) >= 0 } 0 .. epoch_now() + 1;
		}
	}
	return \%found;
}

my $session = $node->background_psql('postgres');
$session->query_safe(q{INSERT INTO events (tenant, note) VALUES ('acme', 'a session that stays')});
my $session_epoch = key_epoch();
pass_epochs(1);
my @processes = map { [ split /\|/ ] } split /\n/, $psql->(q{
	SELECT pid, backend_type FROM pg_stat_activity WHERE backend_type LIKE 'auditchain %' OR state = 'idle'});
push @processes, [ slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/, 'postmaster' ];
my %in_memory = map { $_->[1] => secrets_in_memory($_->[0]) } @processes;
SKIP:
{
	skip 'the memory of the server cannot be read here', 2 unless $in_memory{postmaster};
	my $present = key_epoch();
	ok((grep { $in_memory{postmaster}{$_} } $present - 1 .. $present), 'the present key is in shared memory');
	my @old = map {
		my $process = $_;
		map { "$_ in $process" } grep { $_ < $present - 1 || $_ == $session_epoch } sort keys %{ $in_memory{$process} }
	} sort keys %in_memory;
	is("@old", '', 'and no earlier one is in any process');
}
$session->quit;

# The audit

my @audit = ('--dsn', $node->connstr('postgres') . ' user=auditor', '--seed', $seed);
write_key("$tmp/secrets", "$plain\n");

sub audit
{
	my ($log, @more) = @_;
	return run_program('receipts', @audit, '--log', $log, @more);
}

# Waits until all entries of a log are sealed, in an epoch that has just begun.
sub seal
{
	pass_epochs(1);
	$psql->("CALL auditchain.checkpoint('$_')") for 'events', 'shortened', 'unsealed';
	return;
}

# The epoch before that in which each log was sealed first
my %before = map { $_ => $psql->("SELECT min(epoch) - 1 FROM auditchain.epoch_seals WHERE log = '$_'::regclass") }
  'events', 'shortened', 'unsealed';

sub check_intact
{
	my ($log, $name, @more) = @_;
	my ($result, $out, $errors) = audit($log, '--unsealed', "0-$before{$log}", '--secrets', "$tmp/secrets", @more);
	is("$result$errors", '0', "$name: $log");
	like($out, qr/^public\.$log: \d+ entries, \d+ of them sealed, \d+ epochs; 0 violations$/, "$name: $log, in words");
	return;
}

seal();
check_intact($_, 'an intact log passes') for sort keys %before;
($status, $stdout, $stderr) = audit('events', '--secrets', "$tmp/secrets");
is($status, 1, 'epochs in which the log was not there are not passed over in silence');
like($stderr, qr/^ALARM epoch_unsealed: public\.events: epochs? 0.* not sealed to/, 'but told');
($status, $stdout, $stderr) = audit('events', '--unsealed', "0-$before{events}");
like("$status$stderr", qr/^1ALARM receipt_invalid: public\.events: position 1 of chain \["acme"\]\/0: no key that was given/,
	'plain receipts need their secret');
for my $bad (
	[ [ 'receipts', @audit ], '--log is required', 'without a log' ],
	[ [ 'receipts', @audit, '--log', 'nothing' ], 'does not exist', 'a table that is not there' ],
	[ [ 'receipts', @audit, '--log', 'pg_class' ], 'is no log with receipts', 'a table that is none' ],
	[ [ 'receipts', @audit, '--log', 'events', '--unsealed', '5-2' ], 'takes epochs', 'a range that is none' ],
	[ [ 'receipts', @audit[ 0, 1 ], '--log', 'events', '--seed', $key ], 'is no seed', 'a key for a seed' ],
	[ [ 'receipts', '--dsn', 'host=/nowhere', '--log', 'x', '--seed', $seed ], 'nowhere', 'no connection' ])
{
	($status, $stdout, $stderr) = run_program(@{ $bad->[0] });
	is($status, 2, "$bad->[2]: exit code");
	like($stderr, qr/$bad->[1]/, "$bad->[2]: message");
}

# A restored dump is what it was

$psql->('CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/dump", '-d', $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), "$tmp/dump" ], 'restore');
is( join(' ', (run_program('receipts', '--dsn', $node->connstr('restored'), '--seed', $seed, '--secrets', "$tmp/secrets",
				'--log', 'events', '--unsealed', "0-$before{events}"))[ 0, 2 ]), '0 ', 'a restored dump passes');
$psql->('DROP DATABASE restored WITH (FORCE)');

# A server that was down, and one that was killed while its key evolved

append_to_file("$key.new", 'auditchain-evolving-key 1 ... what a crash has left');
my ($down_from) = key_epoch();
$node->stop('immediate');
sleep 2 * $epoch_length + 1;
is(key_epoch(), $down_from, 'a file is not replaced while the server is down');
$node->start;
cmp_ok(key_epoch(), '>=', $down_from + 2, 'but when it starts');
ok(!-e "$key.new", 'and what a crash left under the other name is gone');
seal();
($status, $stdout, $stderr) = audit('events', '--unsealed', "0-$before{events}", '--secrets', "$tmp/secrets");
like("$status$stderr", qr/^1ALARM epoch_unsealed: public\.events: epochs? (\d+)(?:-(\d+))? (is|are) not sealed to/, 'the time without seals is told');
my ($gap) = $stderr =~ /epochs? (\d+(?:-\d+)?) /;
my ($gap_first, $gap_last) = $gap =~ /^(\d+)(?:-(\d+))?/;
cmp_ok($gap_first, '>=', $down_from, 'as long as it was down');
check_intact('events', 'a server that was down', '--unsealed', $gap);

for my $round (1 .. 3)
{
	my $begin = $start + $epoch_length * (epoch_now() + 1);
	select undef, undef, undef, $begin - Time::HiRes::time() + 0.002 * $round if eval { require Time::HiRes };
	kill 'KILL', slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	key_epoch();
	sleep 2;
	$node->{_pid} = undef;
	$node->start;
	is(state_of_key() =~ s/,.*//sr, 'epoch ' . key_epoch(), "a server that was killed reads its key ($round)");
}

# An older copy of the file brings no older key back, and another line in it is kept

my $older = slurp_file($key);
pass_epochs(1);
write_key($key, $older . 'ab' x 32 . "\n");
$psql->('SELECT auditchain.reload_keys()');
cmp_ok(key_epoch(), '>', ($older =~ /key 1 (\d+)/)[0], 'an older copy is brought up to date');
like(slurp_file($key), qr/\n(?:ab){32}\n\z/, 'with what was added to it');

# A key that cannot be replaced: the server says so, and takes no entries under it for long

seal();
my $from = -s $node->logfile;
my $stuck = key_epoch();
chmod 0500, $dir;
my $stuck_at = time;
ok($node->poll_query_until('postgres', q{
	SELECT advice LIKE 'Cannot replace%' FROM auditchain.status() WHERE item = 'receipt key'}), 'status() says that a key cannot be replaced');
$psql->(q{INSERT INTO shortened (note) VALUES ('in time')});
my $overdue = $start + ($stuck + 1) * $epoch_length + 61;
sleep $overdue - time if $overdue > time;
($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nINSERT INTO shortened (note) VALUES ('late')");
like($stderr, qr/ERROR:  LC012: log "shortened" has receipts, and the server's receipt key was not replaced in time\nDETAIL:  Epoch $stuck ended.*Cannot replace/s,
	'no entry under an overdue key');
is(scalar(() = slurp_file($node->logfile, $from) =~ /WARNING:  auditchain cannot read its receipt key/g), 1, 'the log has it once');
chmod 0700, $dir;
pass_epochs(0);
$psql->(q{INSERT INTO shortened (note) VALUES ('again')});
seal();
my $present = epoch_now();
($status, $stdout, $stderr) = audit('shortened', '--unsealed', "0-$before{shortened}");
like($stderr, qr/\A(?:ALARM epoch_unsealed: .*\n)+\z/, 'what was not sealed meanwhile is all that an audit finds');
$before{$_} = $present - 1 for keys %before;

# Whoever has the present key, and is superuser

$psql->(q{INSERT INTO events (tenant, note) VALUES ('acme', 'before the theft')});
pass_epochs(1);
seal();
pass_epochs(1);
seal();
check_intact($_, 'before the theft') for sort keys %before;
my $stolen = key_epoch();

sub tamper
{
	my ($log, $sql) = @_;
	$psql->(qq{
		ALTER TABLE $log DISABLE TRIGGER ALL;
		$sql;
		ALTER TABLE $log ENABLE ALWAYS TRIGGER zz_auditchain_chain;
		ALTER TABLE $log ENABLE ALWAYS TRIGGER auditchain_guard_row;
		ALTER TABLE $log ENABLE ALWAYS TRIGGER auditchain_guard_statement});
	return;
}

# Makes the server's tree anew, from what the log has now.
sub remake_tree
{
	my ($log) = @_;
	$psql->(qq{DELETE FROM auditchain.$_ WHERE log_id = (SELECT log_id FROM auditchain.log WHERE relation = '$log'::regclass)})
	  for 'checkpoint', 'sealed_range', 'tree_hash', 'daily_root';
	$psql->("CALL auditchain.checkpoint('$log')");
	return;
}

my ($log_id, $lane) = split /\|/, $psql->(q{
	SELECT log_id, lane FROM auditchain.chain JOIN auditchain.log USING (log_id)
	WHERE relation = 'events'::regclass AND key = '["acme"]' AND lane = 0});
$psql->(q{ALTER SYSTEM SET auditchain.checkpoint_interval = 0});
$node->reload;
tamper('events', q{UPDATE events SET note = 'forged' WHERE tenant = 'acme' AND chain_position = 8});
my $previous = '';
my $forged = '';
for (split /\n/, $psql->(q{
	SELECT id, chain_position, encode(previous_checksum, 'hex'), auditchain.payload(e) FROM events e
	WHERE tenant = 'acme' AND chain_position >= 8 AND chain_id = (SELECT min(chain_id) FROM events WHERE tenant = 'acme') ORDER BY 2}))
{
	my ($id, $position, $old_previous, $payload) = split /\|/, $_, 4;
	$previous ||= $old_previous;
	my $checksum = unpack 'H*', sha256($previous . $payload);
	my $receipt = unpack 'H*', receipt_of($stolen, $log_id, '["acme"]', $lane, $position, $checksum);
	$forged .= "UPDATE events SET previous_checksum = '\\x$previous', checksum = '\\x$checksum', receipt = '\\x$receipt' WHERE id = $id;\n";
	$previous = $checksum;
}
tamper('events', $forged =~ s/;\n\z//r);
remake_tree('events');
is($psql->(q{SELECT intact FROM auditchain.verify('events')}), 't', 'the server itself finds nothing');
my @known = ('--unsealed', "0-$before{events}", '--secrets', "$tmp/secrets", '--unsealed', (epoch_now() - 1) . '-');
($status, $stdout, $stderr) = audit('events', @known);
is($status, 1, 'the audit finds a rewritten entry');
like($stderr, qr/^ALARM epoch_mismatch: public\.events: position 8 of chain \["acme"\]\/0: the receipt is of a later epoch than the seal of the entry/m,
	'by its epoch');
like($stderr, qr/^ALARM checkpoint_mismatch: public\.events: the seal of epoch \d+, of \d+ entries at .* UTC, is of other entries than the log has/m,
	'and by the seals');
$psql->(qq{DELETE FROM auditchain.epoch_seal WHERE epoch < $stolen AND log_id = '$log_id'});
($status, $stdout, $stderr) = audit('events', @known);
is($status, 1, 'without these');
like($stderr, qr/^ALARM epoch_unsealed: public\.events: epochs? \d+.* not sealed to/, 'they are missed');

my $unsealed_id = $psql->(q{SELECT log_id FROM auditchain.log WHERE relation = 'unsealed'::regclass});
my @unsealed = ('--unsealed', "0-$before{unsealed}", '--unsealed', (epoch_now() - 1) . '-');
($status, $stdout, $stderr) = audit('unsealed', @unsealed);
is("$status$stderr", '0', 'a log that nobody touched is still fine');
$psql->(qq{DELETE FROM auditchain.epoch_seal WHERE log_id = '$unsealed_id' AND epoch = $stolen - 2});
($status, $stdout, $stderr) = audit('unsealed', @unsealed);
like("$status$stderr", qr/^1ALARM epoch_unsealed: public\.unsealed: epoch @{[ $stolen - 2 ]} is not sealed/, 'one seal less is found');

tamper('shortened', q{DELETE FROM shortened WHERE id > (SELECT max(id) - 3 FROM shortened)});
remake_tree('shortened');
is($psql->(q{SELECT intact FROM auditchain.verify('shortened')}), 't', 'the server does not miss entries cut off');
($status, $stdout, $stderr) = audit('shortened', @unsealed);
like("$status$stderr", qr/^1.*ALARM tail_missing: public\.shortened: the seal of epoch \d+ is of/s, 'the audit does');

# And back to a plain secret: the evolving key is retired, and goes on to be replaced

my ($line) = slurp_file($key) =~ /^(auditchain-evolving-key .*\n)/;
write_key($key, 'cd' x 32 . "\n$line$plain\n");
$psql->('SELECT auditchain.reload_keys()');
like(state_of_key(), qr/^[0-9a-f]{8}, accepted: epoch \d+ [0-9a-f]{8}\|/, 'a retired evolving key');
$psql->(q{INSERT INTO unsealed (note) VALUES ('plain again')});
is($psql->(q{SELECT length(receipt) FROM unsealed ORDER BY id DESC LIMIT 1}), '32', 'makes no receipts');
is($psql->(q{SELECT intact FROM auditchain.verify('unsealed')}), 't', 'and takes none away');
pass_epochs(1);
like(slurp_file($key), qr/^(?:cd){32}\nauditchain-evolving-key .*\n$plain\n\z/, 'its line is replaced where it stands');
write_key("$tmp/secrets", 'cd' x 32 . "\n$plain\n");
($status, $stdout, $stderr) = audit('unsealed', @unsealed, '--unsealed', $stolen - 2, '--secrets', "$tmp/secrets");
is("$status$stderr", '0', 'old and new receipts pass an audit that has their keys');
$node->stop;
my $log = slurp_file($node->logfile);
is(scalar(grep { $log =~ unpack('H*', $_) } @secrets), 0, 'no key is in the log of the server');

done_testing();
