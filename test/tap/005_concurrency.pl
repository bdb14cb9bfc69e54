# Sixteen writers at once, with rollbacks, savepoints, exceptions and all isolation levels: no gap,
# no fork, no broken link.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{AUDITCHAIN_TEST_SECONDS} // 10;
my $node = new_node('concurrency');
$node->append_conf('postgresql.conf', 'max_connections = 40');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (id bigserial PRIMARY KEY, note text, u int UNIQUE);
	CREATE TABLE strict (id bigserial PRIMARY KEY, note text, u int UNIQUE);
	CREATE TABLE keyed (id bigserial PRIMARY KEY, note text, u int UNIQUE);
	CREATE TABLE parted (id bigserial, note text, u int UNIQUE) PARTITION BY RANGE (u);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500000000);
	CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
	SELECT auditchain.protect('elastic');
	SELECT auditchain.protect('strict', lanes => 1);
	SELECT auditchain.protect('keyed', chain_by => '{note}', lanes => 3);
	SELECT auditchain.protect('parted', lanes => 2);
	CREATE FUNCTION try(log regclass, value int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('INSERT INTO %s (note, u) VALUES ($1, $2)', log) USING 'try', value;
		IF value % 2 = 0 THEN
			RAISE EXCEPTION 'odd';
		END IF;
	EXCEPTION WHEN raise_exception OR unique_violation THEN
		EXECUTE format('INSERT INTO %s (note) VALUES ($1)', log) USING SQLERRM;
	END $$;
});

my $dir = PostgreSQL::Test::Utils::tempdir();
my @scripts;

sub script
{
	my ($name, $weight, $sql) = @_;
	append_to_file("$dir/$name.sql", "\\set u random(1, 1000000000)\n$sql\n");
	push @scripts, '-f', "$dir/$name.sql\@$weight";
	return;
}

# One log a transaction, or several in the same order: writers that take strict logs in another
# order than each other would deadlock, as with any lock.
for my $log ('elastic', 'strict', 'keyed', 'parted')
{
	script("single_$log", 4, "INSERT INTO $log (note, u) VALUES ('single', :u) ON CONFLICT DO NOTHING;");
	script("multi_$log", 2,
		"INSERT INTO $log (note, u) SELECT 'multi', :u + i FROM generate_series(1, 5) i ON CONFLICT DO NOTHING;");
	script("rollback_$log", 1, qq{BEGIN;
INSERT INTO $log (note, u) VALUES ('rollback', :u) ON CONFLICT DO NOTHING;
ROLLBACK;});
	script("savepoint_$log", 2, qq{BEGIN;
SAVEPOINT a;
INSERT INTO $log (note, u) VALUES ('lost', :u) ON CONFLICT DO NOTHING;
ROLLBACK TO a;
INSERT INTO $log (note) VALUES ('kept');
SAVEPOINT b;
INSERT INTO $log (note) SELECT 'lost' FROM generate_series(1, 3);
ROLLBACK TO b;
INSERT INTO $log (note, u) VALUES ('kept', :u) ON CONFLICT DO NOTHING;
COMMIT;});
	script("exception_$log", 1, "SELECT try('$log', :u), try('$log', :u);");
}
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	my $name = lc $level =~ s/ /_/r;
	script($name, 1, qq{BEGIN ISOLATION LEVEL $level;
SELECT 1 FROM pg_class LIMIT 1;
INSERT INTO elastic (note) VALUES ('x'), ('y');
INSERT INTO keyed (note) VALUES ('single');
INSERT INTO strict (note) VALUES ('x');
COMMIT;});
}

$node->command_checks_all(
	[
		'pgbench', '-n', '-c', '16', '-j', '2', '-T', $seconds, @scripts, '-h', $node->host, '-p',
		$node->port, 'postgres'
	],
	0,
	[qr/number of transactions actually processed: [1-9]/],
	[qr/^(?!.*(ERROR|aborted))/s],
	'no writer failed');
for my $log ('elastic', 'strict', 'keyed', 'parted')
{
	my $found = chains_of($node, 'postgres', $log);
	like($found, qr/^[1-9]\d* entries, \d+ chains, 0 broken$/, "$log: $found");
	is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
}
like(chains_of($node, 'postgres', 'strict'), qr/, 1 chains,/, 'a strict log has one chain');
cmp_ok(
	$node->safe_psql('postgres',
		"SELECT count(DISTINCT chain_id) FROM elastic"),
	'<=', 16, 'no more lanes than writers');

done_testing();
