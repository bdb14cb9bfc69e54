# The whole server is killed, again and again, under the load of sixteen clients: after recovery
# every entry that was acknowledged to a client is there, and no chain has a gap. Rounds take turns
# with heads in shared memory and without. AUDITCHAIN_TEST_ROUNDS sets their number.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AcknowledgedLoad;
use AuditLog;
use Test::More;
use Time::HiRes 'usleep';

my $rounds = $ENV{AUDITCHAIN_TEST_ROUNDS} // 20;
my $node = new_node('kill');
$node->append_conf(
	'postgresql.conf', q{
	fsync = on
	synchronous_commit = on
	max_connections = 40
	restart_after_crash = off});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (client int, n int, PRIMARY KEY (client, n));
	CREATE TABLE strict (client int, n int, PRIMARY KEY (client, n));
	SELECT auditchain.protect('elastic'), auditchain.protect('strict', lanes => 1);
});

# Processes of the server: the postmaster and its children.
sub kill_server
{
	my ($node) = @_;
	my $postmaster = (split /\n/, PostgreSQL::Test::Utils::slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my @children = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');
	kill 'KILL', $postmaster, @children;
	# A server that starts before they are gone finds the shared memory in use
	usleep(20_000) while grep { kill 0, $_ } @children;
	$node->{_pid} = undef;
	return;
}

my ($bare, $dead, $total, $first) = (0, 0, 0, 1);
for my $round (1 .. $rounds)
{
	my $load = start_clients($node, 16, $first);
	$load->wait_for_acknowledged(100);
	usleep(int rand 150_000);
	kill_server($node);
	$load->finish;
	my $preload = $round % 2 ? 'auditchain' : '';
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'");
	$node->start;
	$total += $load->total;

	my @wrong;
	for my $log ('elastic', 'strict')
	{
		my $missing = $load->missing_in($node, $log);
		push @wrong, "$log: acknowledged and lost: $missing" if $missing ne '';
		my $found = chains_of($node, 'postgres', $log);
		push @wrong, "$log: $found" unless $found =~ / 0 broken$/;
	}
	ok(!@wrong, "round $round: " . $load->total . ' commits were acknowledged') or diag(@wrong);
	$first += 3000;
}
for my $log ('elastic', 'strict')
{
	is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
}
is($node->safe_psql('postgres', 'SELECT count(DISTINCT chain_id) FROM strict'),
	'1', 'a strict log has one chain');
note("$total commits");

done_testing();
