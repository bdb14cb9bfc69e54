# Verification while sixteen clients insert, on a standby under replay, cancelled, watched, and with
# many chains: always intact, nobody waits, memory stays bounded.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{AUDITCHAIN_TEST_SECONDS} // 10;
my $node = new_node('primary', allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
max_connections = 40
shared_preload_libraries = 'auditchain'
min_parallel_table_scan_size = 0
max_parallel_workers_per_gather = 2
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (id bigserial PRIMARY KEY, tenant text, note text);
	CREATE TABLE keyed (id bigserial PRIMARY KEY, tenant text, note text);
	SELECT auditchain.protect('elastic');
	SELECT auditchain.protect('keyed', chain_by => '{tenant}', lanes => 2);
	INSERT INTO elastic (tenant, note) SELECT 't' || i % 20, repeat('x', 200) FROM generate_series(1, 20000) i;
	INSERT INTO keyed (tenant, note) SELECT 't' || i % 20, repeat('x', 200) FROM generate_series(1, 20000) i;
});
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

# Under load, here and there.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/insert.sql", q{\set tenant random(1, 40)
INSERT INTO elastic (tenant, note) VALUES ('t' || :tenant, repeat('y', 100));
INSERT INTO keyed (tenant, note) VALUES ('t' || :tenant, repeat('y', 100));
});
my $output = '';
my $load = IPC::Run::start(
	[
		'pgbench', '-n', '-c', 16, '-j', 2, '-T', $seconds, '-f', "$dir/insert.sql",
		'-d', $node->connstr('postgres')
	],
	'>', \$output, '2>&1');
my %runs = (primary => 0, standby => 0);
my @wrong;
my $end = time + $seconds;
while (time < $end)
{
	for my $server ($node, $standby)
	{
		for my $log ('elastic', 'keyed')
		{
			my $message = $server->safe_psql('postgres', "SELECT message FROM auditchain.verify('$log')");
			push @wrong, $server->name . " $message" unless $message =~ /^All \d+ audit events verified/;
			$runs{ $server->name }++;
		}
	}
}
$load->finish;
note "verified $runs{primary} times on the primary, $runs{standby} times on the standby";
is_deeply(\@wrong, [], 'always intact under load');
cmp_ok($runs{primary}, '>', 1, 'verified on the primary');
cmp_ok($runs{standby}, '>', 1, 'verified on the standby');
like($output, qr/number of failed transactions: 0/, 'no writer failed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.verifications'),
	$runs{primary}, 'those on the primary were recorded');
is($node->safe_psql('postgres', q{SELECT verified_intact FROM auditchain.logs WHERE log = 'keyed'::regclass}),
	't', 'and are shown');
$standby->stop;

# Long work can be watched, has workers, and ends at once when it is cancelled.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE long (id int PRIMARY KEY, note text);
	SELECT auditchain.protect('long', lanes => 1);
	INSERT INTO long SELECT i, repeat('z', 500) FROM generate_series(1, 400000) i;
	ANALYZE long;
});
# Verifies until it is cancelled, and says when that reached it.
my $verifying = IPC::Run::start(
	[
		'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{
	DO $$BEGIN
		LOOP
			PERFORM FROM auditchain.verify('long');
		END LOOP;
	EXCEPTION WHEN query_canceled THEN
		RAISE INFO '%', extract(epoch FROM clock_timestamp());
	END$$}
	],
	'>', '/dev/null', '2>', \my $cancelled);
ok( $node->poll_query_until(
		'postgres', q{
	SELECT count(*) = 1 FROM auditchain.progress
	WHERE log = 'long'::regclass AND command = 'verify' AND phase = 'reading entries'
	  AND entries_done > 0 AND entries_done <= 400000 AND entries_total = 400000 AND started_at < now()}),
	'progress is shown');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}),
	'workers are at it');
my $cancelled_at = $node->safe_psql(
	'postgres', q{
	SELECT extract(epoch FROM clock_timestamp()) FROM auditchain.progress WHERE pg_cancel_backend(pid)});
$verifying->finish;
my ($stopped_at) = $cancelled =~ /INFO:\s+([\d.]+)/;
my $wait = $stopped_at - $cancelled_at;
note sprintf('stopped %.0f ms after it was cancelled', 1000 * $wait);
cmp_ok($wait, '<', 5, 'it stops soon');
is($node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.progress'), '0', 'and is no longer shown');

# 100000 chains.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE tenants (id int PRIMARY KEY, tenant text);
	SELECT auditchain.protect('tenants', chain_by => '{tenant}');
	INSERT INTO tenants SELECT i, 'tenant ' || i % 100000 FROM generate_series(1, 200000) i;
	VACUUM ANALYZE tenants;
});
# What the process has of its own, in kB; shared buffers are not counted.
my $memory = $node->safe_psql(
	'postgres', q{
	CREATE FUNCTION own_memory() RETURNS int LANGUAGE sql AS
		$$SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'RssAnon:\s+(\d+)')::int$$;
	SELECT own_memory() AS before \gset
	SELECT message FROM auditchain.verify('tenants');
	SELECT own_memory() - :before;});
like($memory, qr/^All 200000 audit events verified/, 'verified 100000 chains');
my ($kilobytes) = $memory =~ /(-?\d+)$/;
note "it took $kilobytes kB";
cmp_ok($kilobytes, '<', 64 * 1024, 'in bounded memory');

# The heap holds another entry than the index shows.
$node->safe_psql(
	'postgres', q{
	SET allow_system_table_mods = on;
	UPDATE pg_index SET indisready = false WHERE indexrelid = 'long_chain_id_chain_position_key'::regclass;
	ALTER TABLE long DISABLE TRIGGER ALL;});
$node->safe_psql(
	'postgres', q{
	INSERT INTO long SELECT 400001, 'forged', chain_id, chain_position + 1, checksum, sha256('forged')
	FROM long WHERE chain_position = 400000;
	SET allow_system_table_mods = on;
	UPDATE pg_index SET indisready = true WHERE indexrelid = 'long_chain_id_chain_position_key'::regclass;});
is( $node->safe_psql(
		'postgres', q{SELECT string_agg(kind, ' ' ORDER BY kind) FROM auditchain.violations('long')}),
	'content_modified guard_disabled', 'an entry that the index does not show');
$node->safe_psql(
	'postgres', q{
	DELETE FROM long WHERE id = 400001;
	UPDATE long SET note = note WHERE id = 1;});
$node->stop;

done_testing();
