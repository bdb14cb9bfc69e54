# Prepared transactions survive a crash with their lanes: these stay locked, the lanes beside them go
# on, and after COMMIT or ROLLBACK PREPARED the chain goes on from where it ends then.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('prepared_crash');
$node->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'auditchain'
	max_prepared_transactions = 10});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE strict (id int PRIMARY KEY);
	CREATE TABLE elastic (id int PRIMARY KEY);
	CREATE TABLE keyed (id int PRIMARY KEY, key text);
	SELECT auditchain.protect('strict', lanes => 1), auditchain.protect('elastic', lanes => 3),
		auditchain.protect('keyed', chain_by => '{key}', lanes => 1);
});

my $locks = q{
	SELECT string_agg(format('%s/%s', classid::regclass, objsubid), ' ' ORDER BY classid::regclass::text, objsubid)
	FROM pg_locks WHERE locktype = 'object' AND classid >= 16384};

sub waits
{
	my ($insert, $name) = @_;
	my (undef, undef, $stderr) = $node->psql('postgres', "SET lock_timeout = '100ms'; $insert");
	like($stderr, qr/lock timeout/, $name);
	return;
}

my $id = 0;
for my $end ('COMMIT', 'ROLLBACK')
{
	my @ids = map { ++$id } 1 .. 9;
	# Entries before, so that heads are in memory; then one prepared, its savepoint rolled back
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO strict VALUES ($ids[0]); INSERT INTO elastic VALUES ($ids[0]);
		INSERT INTO keyed VALUES ($ids[0], 'old');
		BEGIN;
		INSERT INTO strict VALUES ($ids[1]), ($ids[2]);
		INSERT INTO elastic VALUES ($ids[1]), ($ids[2]);
		INSERT INTO keyed VALUES ($ids[1], 'old'), ($ids[2], 'new in $end');
		SAVEPOINT s;
		INSERT INTO strict VALUES ($ids[3]); INSERT INTO keyed VALUES ($ids[3], 'old');
		ROLLBACK TO s;
		PREPARE TRANSACTION 'p';
		INSERT INTO elastic VALUES ($ids[4]);
		INSERT INTO keyed VALUES ($ids[4], 'another');
	});
	for my $when ('before the crash', 'after the crash')
	{
		is($node->safe_psql('postgres', $locks), 'elastic/0 keyed/0 keyed/0 strict/0',
			"$end: $when its lanes are locked");
		waits("INSERT INTO strict VALUES (0)", "$end: $when a writer to the strict log waits");
		waits("INSERT INTO keyed VALUES (0, 'new in $end')", "$end: $when one to the new key waits");
		if ($when eq 'before the crash')
		{
			$node->stop('immediate');
			$node->start;
			$node->safe_psql('postgres', "INSERT INTO elastic VALUES ($ids[5])");
		}
	}
	# In one session, so that the next entries come right behind it
	$node->safe_psql(
		'postgres', qq{
		$end PREPARED 'p';
		INSERT INTO strict VALUES ($ids[6]); INSERT INTO elastic VALUES ($ids[6]);
		INSERT INTO keyed VALUES ($ids[6], 'old'), ($ids[7], 'new in $end')});
	is($node->safe_psql('postgres', $locks), '', "$end: no lock is left");
	is($node->safe_psql('postgres',
			"SELECT count(*) FROM strict WHERE id IN ($ids[1], $ids[2])"),
		$end eq 'COMMIT' ? 2 : 0, "$end: its entries");
	like(chains_of($node, 'postgres', $_), qr/ 0 broken$/, "$end: $_")
	  for 'strict', 'elastic', 'keyed';
}

# Prepared by one session, ended by another that waits for nothing, while a third waits for the lane
$node->safe_psql('postgres', "BEGIN; INSERT INTO strict VALUES (100); PREPARE TRANSACTION 'q'");
{
	my $waiting = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'INSERT INTO strict VALUES (101)' ]);
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_locks WHERE classid = 'strict'::regclass AND NOT granted")
	  or die 'nobody waits';
	$node->safe_psql('postgres', "COMMIT PREPARED 'q'");
	$waiting->finish;
	is($node->safe_psql('postgres', 'SELECT id FROM strict ORDER BY chain_position DESC LIMIT 2'),
		"101\n100", 'who waited for a prepared transaction extends what it left');
}

# What PREPARE refuses leaves nothing behind
my (undef, undef, $stderr) = $node->psql('postgres',
	"CREATE TEMP TABLE t (); BEGIN; INSERT INTO strict VALUES (102); TABLE t; PREPARE TRANSACTION 'r'");
like($stderr, qr/temporary/, 'PREPARE fails');
is($node->safe_psql('postgres', $locks), '', 'and leaves no lock');
$node->safe_psql('postgres', 'INSERT INTO strict VALUES (103)');
for my $log ('strict', 'elastic', 'keyed')
{
	like(chains_of($node, 'postgres', $log), qr/ 0 broken$/, "$log is whole");
	is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
}
is(trouble_in($node), '', 'no trouble in the log');

done_testing();
