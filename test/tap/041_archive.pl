# Whatever interrupts archive(), nothing is lost and a rerun finishes: kill -9 and cancel, at each step,
# while others insert. Archives survive dump and restore, a standby verifies them, and the background worker
# applies policies.

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
my $key = "$dir/receipt.key";
append_to_file($key, '0123456789abcdef' x 4 . "\n");
chmod 0600, $key or die $!;
my $node = new_node('archive', allows_streaming => 1);
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0
auditchain.receipt_key_file = '$key'
});
$node->start;
my $entries = 12000;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION auditchain;
	CREATE SCHEMA cold;
	CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), tenant text, note text);
	SELECT auditchain.protect('events', chain_by => '{tenant}', receipts => true);
	SELECT auditchain.set_retention('events', '2 years', '1 year', 'schema:cold');
	SELECT auditchain.hold('events', 'case', '{"id": 77}');
	INSERT INTO events (at, tenant, note)
		SELECT now() - interval '3 years' + i * interval '1 minute', i % 3, repeat('x', 200) FROM generate_series(1, $entries) i;
	CREATE TABLE load_log (n int);
});

# Entries in the log and in archives together, each once, and all that verification says.
sub check_whole
{
	my ($name, $on, $database) = @_;
	$on //= $node;
	$database //= 'postgres';
	my $tables = $on->safe_psql($database,
		q{SELECT string_agg(DISTINCT 'UNION ALL SELECT id FROM ' || "table", ' ') FROM auditchain.archives WHERE state = 'kept'});
	is( $on->safe_psql($database, qq{
		SELECT count(*) FILTER (WHERE id <= $entries), count(*) - count(DISTINCT id) FROM (SELECT id FROM events $tables) AS all_ids}),
		"$entries|0", "$name: every entry is there, once");
	is($on->safe_psql($database, q{SELECT detail FROM auditchain.violations('events')}), '', "$name: the log is intact");
	is($on->safe_psql($database, q{
		SELECT count(*) FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE NOT v.intact}),
		'0', "$name: so are the archives");
	is($on->safe_psql($database, q{SELECT intact FROM auditchain.verify('auditchain.operations')})
		, 't', "$name: so is the log of operations");
	return;
}

sub restart_killed
{
	# Its children may outlive a killed postmaster for a moment
	my $attempts = 0;
	until ($node->start(fail_ok => 1))
	{
		die 'does not start' if ++$attempts > 60;
		$node->stop('fast', fail_ok => 1);
		sleep 1;
	}
	return;
}

my $before = q{now() - interval '2 years 360 days'};

# A session that keeps archive() waiting at a certain point of its work
my %points = (
	'copying' => 'LOCK auditchain.archive_range IN EXCLUSIVE MODE',
	'hashing' => 'LOCK auditchain.tree_hash IN EXCLUSIVE MODE',
	'recording' => 'LOCK auditchain.operations IN EXCLUSIVE MODE',
	'deleting' => 'SELECT FROM events WHERE id = 5000 FOR SHARE');

sub start_psql
{
	my ($sql) = @_;
	my $sink = '';
	return IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', $sql ], '>', \$sink, '2>', \$sink);
}

sub start_waiting_archive
{
	my ($point) = @_;
	my $blocker = start_psql("BEGIN; $points{$point}; SELECT pg_sleep(600)");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) or die 'no blocker';
	my $archiving = start_psql("SELECT auditchain.archive('events', $before)");
	$node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT auditchain.archive%' AND wait_event_type = 'Lock'})
	  or die "does not wait when $point";
	return ($blocker, $archiving);
}

# Killed, while others insert
my $script = "$dir/insert.sql";
append_to_file($script, "INSERT INTO events (tenant, note) SELECT i, 'load' FROM generate_series(0, 2) i;\n");
for my $point (sort keys %points)
{
	my $out = '';
	my $load = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '2', '-T', '60', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \$out, '2>', \$out);
	my @sessions = start_waiting_archive($point);
	my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM events');
	ok($node->poll_query_until('postgres', "SELECT count(*) > $count FROM events"), "$point: writers go on")
	  if $point ne 'hashing';
	$node->kill9;
	$_->finish for $load, @sessions;
	restart_killed();
	is($node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.archives'), '0', "killed when $point");
	check_whole("killed when $point");
}

# Cancelled
for my $point (sort keys %points)
{
	my @sessions = start_waiting_archive($point);
	$node->safe_psql('postgres', q{
		SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		WHERE query LIKE 'SELECT auditchain.archive%' OR wait_event = 'PgSleep' ORDER BY query LIKE 'SELECT auditchain.archive%' DESC});
	$_->finish for @sessions;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.archives'), '0', "cancelled when $point");
}
check_whole('cancelled');

# A rerun finishes
$node->safe_psql('postgres', "SELECT auditchain.archive('events', $before)");
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM auditchain.archives'), 't', 'a rerun archives');
check_whole('a rerun finishes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM events WHERE id = 77}), '1', 'what is held stays');
my $archived = $node->safe_psql('postgres', 'SELECT sum(entries) FROM auditchain.archives');
cmp_ok($archived, '>', $entries / 3, "$archived entries are archived");

# A receipt of an archived entry that is edited
my ($status, $stdout) = $node->psql('postgres', q{
	BEGIN;
	ALTER TABLE cold.events DISABLE TRIGGER ALL;
	UPDATE cold.events SET receipt = sha256('x') WHERE id = 100;
	SELECT violations, message FROM auditchain.verify_archive((SELECT min(archive) FROM auditchain.archives));
	ROLLBACK});
like($stdout, qr/receipt_invalid/, 'receipts are verified in archives, too');

# A standby
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "SELECT auditchain.archive('events', $before + interval '1 day')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
check_whole('standby', $standby);
$standby->stop;

# Dump and restore
my $state = q{
	SELECT (SELECT message FROM auditchain.verify('events')), (SELECT count(*) FROM events),
		(SELECT string_agg(archive || ' ' || entries || ' ' || "table", ',' ORDER BY archive) FROM auditchain.archives),
		(SELECT string_agg(hold || reason, ',') FROM auditchain.holds), (SELECT keep FROM auditchain.retention)};
my $expected = $node->safe_psql('postgres', $state);
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", $node->connstr('postgres') ], 'dump as SQL');
$node->command_ok([ 'pg_dump', '-Fd', '-f', "$dir/directory", $node->connstr('postgres') ], 'dump as directory');
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'plain', 'parallel';
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", $node->connstr('plain') ], 'restore from SQL');
$node->command_ok([ 'pg_restore', '-j', '2', '-d', $node->connstr('parallel'), "$dir/directory" ], 'restore in parallel');
for my $database ('plain', 'parallel')
{
	is($node->safe_psql($database, $state), $expected, "$database: what was archived still is");
	check_whole($database, $node, $database);
	for my $refused ('DELETE FROM cold.events', 'DROP TABLE cold.events', 'DELETE FROM auditchain.operations')
	{
		my (undef, undef, $stderr) = $node->psql($database, $refused);
		like($stderr, qr/refused/, "$database: $refused is refused");
	}
	$node->safe_psql($database, "SELECT auditchain.archive('events', $before + interval '2 days'); SELECT auditchain.lift_hold(1, 'closed')");
	check_whole("$database, archived again", $node, $database);
}

# The background worker
$node->safe_psql('postgres', q{SELECT auditchain.lift_hold(1, 'closed')});
$node->append_conf('postgresql.conf', q{
auditchain.checkpoint_interval = 1
auditchain.retention_interval = 1
});
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM events WHERE at < now() - interval '1 year 2 days' AND id < 11990}),
	'the worker archives what is due');
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 AND bool_and(state = 'expired') FROM auditchain.archives}),
	'and expires what is past its time');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cold.events}), '0', 'which is gone');
is($node->safe_psql('postgres', q{SELECT intact, violations FROM auditchain.verify('events')}), 't|0', 'the log is intact');
is($node->safe_psql('postgres', q{SELECT count(*) FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE NOT v.intact}),
	'0', 'so are the records of what expired');
is($node->safe_psql('postgres', q{SELECT intact FROM auditchain.verify('auditchain.operations')}), 't', 'so is the log of operations');

done_testing();
