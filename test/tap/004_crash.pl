# A server that is killed under load loses no entry that was acknowledged, breaks no chain, and goes
# on.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('crash');
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (id bigserial PRIMARY KEY, note text);
	CREATE TABLE strict (id bigserial PRIMARY KEY, note text);
	CREATE TABLE new_keys (id bigserial PRIMARY KEY, key int);
	SELECT auditchain.protect('elastic');
	SELECT auditchain.protect('strict', lanes => 1);
	SELECT auditchain.protect('new_keys', chain_by => '{key}');
});
my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
append_to_file(
	$script, q{
\set key random(1, 1000000)
BEGIN;
INSERT INTO elastic (note) VALUES ('x');
INSERT INTO new_keys (key) VALUES (:key);
INSERT INTO strict (note) SELECT 'y' FROM generate_series(1, 3);
COMMIT;
});

my $acknowledged = 0;
for my $round (1 .. 3)
{
	my ($stdout, $stderr) = ('', '');
	my $load = IPC::Run::start(
		[
			'pgbench', '-n', '-c', '8', '-T', '120', '-f', $script, '-h', $node->host,
			'-p', $node->port, 'postgres'
		],
		'>', \$stdout, '2>', \$stderr);
	my $enough = $acknowledged + 200;
	$node->poll_query_until('postgres', "SELECT count(*) > $enough FROM elastic")
	  or die 'no load';
	if ($round == 3) { $node->kill9 }
	else { $node->stop('immediate') }
	$load->finish;
	$stdout =~ /number of transactions actually processed: (\d+)/ or die $stdout . $stderr;
	$acknowledged += $1;
	ok($1 > 0, "round $round: $1 transactions were acknowledged");
	# Its children may outlive a killed postmaster for a moment
	my $attempts = 0;
	until ($node->start(fail_ok => 1))
	{
		die 'does not start' if ++$attempts > 60;
		$node->stop('fast', fail_ok => 1);
		sleep 1;
	}

	my $committed = $node->safe_psql('postgres', 'SELECT count(*) FROM elastic');
	cmp_ok($committed, '>=', $acknowledged, "round $round: all of them are there");
	like(chains_of($node, 'postgres', 'elastic'), qr/^$committed entries, \d+ chains, 0 broken$/,
		"round $round: lanes are whole");
	my $entries = 3 * $committed;
	is(chains_of($node, 'postgres', 'strict'),
		"$entries entries, 1 chains, 0 broken", "round $round: the strict chain is whole");
	like(chains_of($node, 'postgres', 'new_keys'), qr/^$committed entries, \d+ chains, 0 broken$/,
		"round $round: chains of new keys are whole");
	$node->safe_psql('postgres', q{
		INSERT INTO elastic (note) VALUES ('after'); INSERT INTO strict (note) SELECT 'after'
		FROM generate_series(1, 3); INSERT INTO new_keys (key) VALUES (0)});
	$acknowledged++;
}
is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$_')"), 't', "$_ verifies")
  for 'elastic', 'strict', 'new_keys';

done_testing();
