# With a synchronous standby, COMMIT waits for it as it does without auditchain: when the primary is
# killed, the promoted standby has every entry that was acknowledged, and goes on.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AcknowledgedLoad;
use AuditLog;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes 'time';

my $primary = new_node('primary', allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'auditchain'
	wal_receiver_status_interval = 10s
	max_connections = 40});
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (client int, n int, PRIMARY KEY (client, n));
	CREATE TABLE strict (client int, n int, PRIMARY KEY (client, n));
	SELECT auditchain.protect('elastic'), auditchain.protect('strict', lanes => 1);
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
$primary->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
  or die 'no synchronous standby';

# Whoever was told of the commit finds the entry on the standby, and does not wait for its next report
my $n = 0;
for my $level ('remote_write', 'on', 'remote_apply')
{
	my $begin = time;
	for (1 .. 5)
	{
		$n++;
		$primary->safe_psql('postgres', "SET synchronous_commit = $level; INSERT INTO strict VALUES (0, $n)");
		next unless $level eq 'remote_apply';
		is($standby->safe_psql('postgres', "SELECT count(*) FROM strict WHERE n = $n"),
			'1', "entry $n is on the standby");
	}
	cmp_ok(time - $begin, '<', 8, "synchronous_commit = $level does not wait for long");
}

my $load = start_clients($primary, 16);
$load->wait_for_acknowledged(500);
$primary->kill9;
my $acknowledged = $load->finish;
# Its children outlive it for a moment; none of them can reach the standby any more
$standby->promote;

cmp_ok($acknowledged->total, '>', 0, $acknowledged->total . ' entries were acknowledged');
for my $log ('elastic', 'strict')
{
	is($acknowledged->missing_in($standby, $log), '', "$log: all of them are on the standby");
	like(chains_of($standby, 'postgres', $log),
		qr/^\d+ entries, \d+ chains, 0 broken$/, "$log: chains");
	is($standby->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
	$standby->safe_psql('postgres',
		"INSERT INTO $log SELECT 99, i FROM generate_series(1, 10) i; INSERT INTO $log VALUES (99, 11)");
	like(chains_of($standby, 'postgres', $log),
		qr/ 0 broken$/, "$log: the promoted standby goes on");
}

done_testing();
