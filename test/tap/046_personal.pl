# Personal fields on whole servers: plaintext reaches no file; keys follow dumps, standbys, crashes and prepared
# transactions, and no logical replication; the master key rotates, and old copies die with it; whatever is
# written while subjects are erased is afterwards readable or erased, and every proof stays valid.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my @masters = map { my $key = `openssl rand -hex 32`; chomp $key; $key } 1 .. 2;
my $file = "$dir/personal.key";

sub write_masters
{
	my (@lines) = @_;
	unlink $file;
	append_to_file($file, join("\n", @lines, ''));
	chmod 0600, $file or die $!;
	return;
}

write_masters($masters[0]);
is(system("openssl genpkey -algorithm ed25519 -out $dir/signing.pem && chmod 0600 $dir/signing.pem"), 0, 'a signing key');

mkdir "$dir/archives" or die $!;
my $node = new_node('personal', allows_streaming => 'logical');
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0
auditchain.personal_key_file = '$file'
auditchain.signing_key_file = '$dir/signing.pem'
auditchain.archive_directory = '$dir/archives'
max_prepared_transactions = 5
log_statement = none
log_min_error_statement = panic
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id serial PRIMARY KEY, account text, note text, details jsonb);
	SELECT auditchain.protect('events');
	SELECT auditchain.protect_fields('events', 'account', '{note, details}');
	INSERT INTO events (account, note, details)
	SELECT 'account ' || i % 10, 'plainly-' || i, jsonb_build_object('street', 'plainly-' || i) FROM generate_series(1, 100) i;
	CALL auditchain.checkpoint('events');
});

# What reads as it was written, what is erased, and what else
my $state = q{
	SELECT format('%s readable, %s erased, %s else',
		count(*) FILTER (WHERE r.note LIKE 'plainly-%' AND (r.details->>'street') = r.note),
		count(*) FILTER (WHERE r.note IS NULL AND auditchain.is_erased(e.note) AND auditchain.is_erased(e.details)),
		count(*) FILTER (WHERE (r.note IS NULL) <> auditchain.is_erased(e.note)))
	FROM events e JOIN events_readable r USING (id)};
my $verified = q{SELECT intact FROM auditchain.verify('events')};

sub check_state
{
	my ($on, $database, $expected, $name) = @_;
	is($on->safe_psql($database, $state), $expected, "$name: $expected");
	is($on->safe_psql($database, $verified), 't', "$name: the log is intact");
	return;
}

check_state($node, 'postgres', '100 readable, 0 erased, 0 else', 'written');

# Plaintext is in no file of the server: tables, WAL, log
$node->psql('postgres', q{INSERT INTO events (note) VALUES ('plainly-refused')});
$node->safe_psql('postgres', 'CHECKPOINT');
is(system('grep', '-rqaF', 'plainly-', $node->data_dir), 256, 'plaintext is not in the data directory');
is(system('grep', '-qaF', 'plainly-', $node->logfile), 256, 'nor in the log');
is(system('grep', '-rqaF', $masters[0], $node->data_dir), 256, 'the master key is not there either');

# Proofs from before an erasure hold after it, and a bundle
my $proof = q{SELECT auditchain.inclusion_proof('events', chain_id, chain_position) FROM events WHERE id = 5};
my $before = $node->safe_psql('postgres', $proof);
is($node->safe_psql('postgres', q{SELECT auditchain.erase_subject('account 5', 'asked')}), '1', 'a subject is erased');
check_state($node, 'postgres', '90 readable, 10 erased, 0 else', 'erased');
is($node->safe_psql('postgres', $proof), $before, 'the proof of an erased entry is the same');
is($node->safe_psql('postgres', q{
	SELECT auditchain.verify_inclusion(auditchain.inclusion_proof('events', chain_id, chain_position),
		auditchain.leaf(e), auditchain.verifier_key('events')) FROM events e WHERE id = 5}), 't', 'and holds');
my $hex = $node->safe_psql('postgres', q{SELECT auditchain.bundle('events')});
open my $bundle, '>:raw', "$dir/events.tar" or die $!;
print $bundle pack('H*', s/^\\x//r) for split /\n/, $hex;
close $bundle or die $!;
my $checked = `python3 "$FindBin::RealBin/../../tools/verify_bundle.py" "$dir/events.tar"`;
like($checked, qr/All 100 audit events verified/, 'a bundle of it verifies');
unlike($checked, qr/plainly/, 'and knows no plaintext');

# Dump and restore: the keys go with it, wrapped
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", $node->connstr('postgres') ], 'dump as SQL');
$node->command_ok([ 'pg_dump', '-Fd', '-f', "$dir/directory", $node->connstr('postgres') ], 'dump as directory');
unlike(slurp_file("$dir/plain.sql"), qr/plainly-/, 'a dump has no plaintext');
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'plain', 'parallel';
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", $node->connstr('plain') ], 'restore from SQL');
$node->command_ok([ 'pg_restore', '-j', '2', '-d', $node->connstr('parallel'), "$dir/directory" ], 'restore in parallel');
for my $database ('plain', 'parallel')
{
	check_state($node, $database, '90 readable, 10 erased, 0 else', $database);
	is($node->safe_psql($database, q{
		INSERT INTO events (account, note, details) VALUES ('account 1', 'plainly-new', '{"street": "plainly-new"}');
		SELECT count(*), count(DISTINCT split_part(note, ':', 3)) FROM events WHERE account = 'account 1'}),
		'11|1', "$database: a subject keeps its key");
	is($node->safe_psql($database, q{SELECT auditchain.erase_subject('account 1', 'asked')}), '1', "$database: and can be erased");
	check_state($node, $database, '80 readable, 21 erased, 0 else', $database);
}
check_state($node, 'postgres', '90 readable, 10 erased, 0 else', 'which erases nothing elsewhere');

# A standby decrypts with the key file, and follows an erasure even where a session has used the key
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $session = $standby->background_psql('postgres');
is($session->query_safe($state), '90 readable, 10 erased, 0 else', 'a standby decrypts');
is($session->query_safe(q{SELECT count(*) FROM auditchain.subject_access('events', 'account 2') line WHERE line LIKE '%plainly-%'}),
	'10', 'and gives access');
my (undef, undef, $stderr) = $standby->psql('postgres', q{SELECT auditchain.erase_subject('account 2', 'asked')});
like($stderr, qr/cannot execute .*erase_subject.*read-only|recovery/, 'but erases nothing');
$node->safe_psql('postgres', q{SELECT auditchain.erase_subject('account 2', 'asked')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($session->query_safe($state), '80 readable, 20 erased, 0 else', 'what the primary erased is erased there');
$session->quit;
check_state($standby, 'postgres', '80 readable, 20 erased, 0 else', 'standby');
$standby->stop;

# Crash, and prepared transactions
$node->safe_psql('postgres', q{
	INSERT INTO events (account, note, details) VALUES ('new', 'plainly-crash', '{"street": "plainly-crash"}')});
$node->kill9;
# Its children may outlive a killed postmaster for a moment
until ($node->start(fail_ok => 1))
{
	$node->stop('fast', fail_ok => 1);
	sleep 1;
}
check_state($node, 'postgres', '81 readable, 20 erased, 0 else', 'a new key survives a crash');
$node->safe_psql('postgres', q{
	BEGIN;
	INSERT INTO events (account, note, details) VALUES ('prepared', 'plainly-p', '{"street": "plainly-p"}');
	PREPARE TRANSACTION 'p'});
my $eraser = IPC::Run::start([ 'psql', '-XAtd', $node->connstr('postgres'), '-c',
	q{SELECT auditchain.erase_subject('prepared', 'asked')} ], '>', \my $erased, '2>', \my $error);
$node->poll_query_until('postgres', q{
	SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT auditchain.erase_subject%' AND wait_event_type = 'Lock'})
  or die 'does not wait';
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
$eraser->finish;
is($erased, "1\n", 'an erasure waits for a prepared transaction');
check_state($node, 'postgres', '81 readable, 21 erased, 0 else', 'prepared');

# Logical replication: a subscriber has what the payloads have, and no keys
my $subscriber = new_node('subscriber');
$subscriber->start;
$subscriber->safe_psql('postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id int PRIMARY KEY, account text, note text, details jsonb);
	SELECT auditchain.protect('events')});
$node->safe_psql('postgres', 'CREATE PUBLICATION log FOR TABLE events');
my $connection = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION log CONNECTION '$connection' PUBLICATION log");
$subscriber->wait_for_subscription_sync($node, 'log');
$node->safe_psql('postgres', q{
	INSERT INTO events (account, note, details) VALUES ('account 3', 'plainly-r', '{"street": "plainly-r"}')});
$node->wait_for_catchup('log');
my $content = 'SELECT auditchain.payload(e) FROM events e ORDER BY id';
is($subscriber->safe_psql('postgres', $content), $node->safe_psql('postgres', $content), 'a subscriber has the payloads');
is($subscriber->safe_psql('postgres', $verified), 't', 'which verify there');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION log');
$subscriber->stop;

# Rotation. While both keys are there, nobody notices
sub reload
{
	return $node->safe_psql('postgres', 'SELECT auditchain.reload_keys()');
}
write_masters($masters[1], $masters[0]);
reload();
check_state($node, 'postgres', '82 readable, 21 erased, 0 else', 'with a newer key');
is($node->safe_psql('postgres', 'SELECT auditchain.rotate_personal_key()'), '10', 'all keys, and the secret, are wrapped anew');
is($node->safe_psql('postgres', 'SELECT auditchain.rotate_personal_key()'), '0', 'once');
is($node->safe_psql('postgres', q{SELECT event, log FROM auditchain.operations ORDER BY id DESC LIMIT 1}),
	'personal_key_rotated|auditchain.operations', 'which is recorded');
write_masters($masters[1]);
reload();
check_state($node, 'postgres', '82 readable, 21 erased, 0 else', 'without the old key');
is($node->safe_psql('postgres', q{SELECT auditchain.erase_subject('account 4', 'asked')}), '1', 'subjects are found as before');
($_, undef, $stderr) = $node->psql('plain', 'SELECT note FROM events_readable WHERE id = 3');
like($stderr, qr/the key of a data subject does not open.*wrapped by the personal key [0-9a-f]{8}, which the server has not got/s,
	'an old copy does not open without the old key');

# More subjects in one transaction than locks, and than keys that a session keeps
$node->safe_psql('postgres', q{
	INSERT INTO events (account, note, details)
	SELECT 'one of ' || i % 3000, 'plainly-' || i, jsonb_build_object('street', 'plainly-' || i) FROM generate_series(1, 6000) i});
is($node->safe_psql('postgres', q{SELECT count(DISTINCT split_part(note, ':', 3)) FROM events WHERE account LIKE 'one of %'}),
	'3000', 'thousands of subjects have a key each');
check_state($node, 'postgres', '6072 readable, 31 erased, 0 else', 'thousands of subjects');

# Archives that are files are not read. A hold on another subject does not concern an erasure; others may match
$node->safe_psql('postgres', q{
	CREATE TABLE filed (id int PRIMARY KEY, at timestamptz DEFAULT '2020-01-01', account text, note text);
	SELECT auditchain.protect('filed');
	SELECT auditchain.protect_fields('filed', 'account', '{note}');
	SELECT auditchain.set_retention('filed', keep => '200 years', destination => 'file:filed');
	INSERT INTO filed (id, account, note) VALUES (1, 'filed 1', 'plainly-1'), (2, 'filed 2', 'plainly-2');
	INSERT INTO filed VALUES (3, now(), 'filed 3', 'plainly-3');
	CALL auditchain.checkpoint('filed');
	SELECT auditchain.archive('filed', '2021-01-01');
	SELECT auditchain.hold('filed', 'case', '{"account": "filed 2"}')});
($_, undef, $stderr) = $node->psql('postgres', q{SELECT auditchain.subject_access('filed', 'filed 1')});
like($stderr, qr/WARNING:  archives of log "filed" that are files were not read/, 'a file of an archive is not read');
is($node->safe_psql('postgres', q{SELECT auditchain.erase_subject('filed 1', 'asked')}), '1', 'a hold on another subject');
(undef, undef, $stderr) = $node->psql('postgres', q{SELECT auditchain.erase_subject('filed 2', 'asked')});
like($stderr, qr/under a legal hold.*may match entries in archives that are files/s, 'a hold on the subject');

# Without a key
unlink $file;
$node->restart;
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM events');
(undef, undef, $stderr) = $node->psql('postgres', q{
	\set VERBOSITY verbose
	INSERT INTO events (account, note) VALUES ('account 1', 'plainly-lost')});
like($stderr, qr/LC012.*the server has no personal key.*No such file.*openssl rand/s, 'nothing is written without the key');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events'), $count, 'nothing at all');
is($node->safe_psql('postgres', $verified), 't', 'verification needs no key');
write_masters($masters[1]);
reload();

# Writers and erasures at once: each entry is readable or erased, and of one of its subject's keys
append_to_file("$dir/write.sql", q{
\set a random(0, 4)
\set b random(0, 4)
BEGIN;
INSERT INTO events (account, note, details) VALUES ('load ' || :a, 'plainly-w', '{"street": "plainly-w"}');
SAVEPOINT s;
INSERT INTO events (account, note, details) VALUES ('load ' || least(:a + 1, 4), 'plainly-w', '{"street": "plainly-w"}');
ROLLBACK TO s;
INSERT INTO events (account, note, details) VALUES ('load ' || greatest(:a, :b), 'plainly-w', '{"street": "plainly-w"}');
END;
});
append_to_file("$dir/erase.sql", q{
\set a random(0, 4)
DO $$ BEGIN
    PERFORM auditchain.erase_subject('load ' || :a, 'load');
EXCEPTION WHEN SQLSTATE 'LC006' THEN NULL; -- it has no key at the time
END $$;
\sleep 20 ms
});
$node->command_checks_all(
	[ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', '8', '--max-tries=1000', '-f', "$dir/write.sql\@20", '-f', "$dir/erase.sql\@1",
		'-h', $node->host, '-p', $node->port, 'postgres' ],
	0, [qr/number of failed transactions: 0/], [qr/^(?!.*(?:aborted|PANIC))/s], 'writers and erasures at once');
like($node->safe_psql('postgres', $state), qr/^\d+ readable, \d+ erased, 0 else$/, 'each entry is readable or erased');
is($node->safe_psql('postgres', $verified), 't', 'the log is intact');
is($node->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('auditchain.operations')}), 't', 'so is the log of operations');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM events
	WHERE auditchain.is_erased(note) <> EXISTS (SELECT FROM auditchain.operations
		WHERE event = 'subject_erased' AND details->'keys' ? split_part(note, ':', 3))}),
	'0', 'and has each key that was destroyed');
is(trouble_in($node) =~ s/^.*(?:WARNING:  auditchain cannot read its personal key|WARNING:  archives of log "filed"|ERROR:  the subject's data|DETAIL|HINT|LOG).*$//mgr =~ s/\s+//gr, '',
	'the server has no other trouble');

done_testing();
