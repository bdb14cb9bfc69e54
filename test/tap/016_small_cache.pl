# Thirty-two writers, with heads in a shared memory that has room for sixteen and thousands of keys:
# single and several rows, rollbacks, savepoints, conflicts, two logs at once, with verification
# meanwhile. AUDITCHAIN_TEST_SECONDS sets how long.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{AUDITCHAIN_TEST_SECONDS} // 60;
my @logs = ('elastic', 'strict', 'keyed', 'parted');
my $node = new_node('small_cache');
$node->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'auditchain'
	auditchain.cached_heads = 16
	max_connections = 50});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (id bigserial PRIMARY KEY, key int, u int UNIQUE);
	CREATE TABLE strict (id bigserial PRIMARY KEY, key int, u int UNIQUE);
	CREATE TABLE keyed (id bigserial PRIMARY KEY, key int, u int UNIQUE);
	CREATE TABLE parted (id bigserial, key int, u int UNIQUE) PARTITION BY HASH (u);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parted_2 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	SELECT auditchain.protect('elastic'), auditchain.protect('strict', lanes => 1),
		auditchain.protect('keyed', chain_by => '{key}', lanes => 2),
		auditchain.protect('parted', chain_by => '{key}', lanes => 1);
	CREATE FUNCTION require_intact(log regclass) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		found record;
	BEGIN
		SELECT * INTO found FROM auditchain.verify(log);
		IF NOT found.intact THEN
			RAISE EXCEPTION '%', found.message;
		END IF;
	END $$;
});

my $dir = PostgreSQL::Test::Utils::tempdir();
my @scripts;

sub script
{
	my ($name, $weight, $sql) = @_;
	append_to_file("$dir/$name.sql", qq{
\\set u random(1, 100000)
\\set key random_exponential(1, 3000, 3)
$sql});
	push @scripts, '-f', "$dir/$name.sql\@$weight";
	return;
}

for my $log (@logs)
{
	script("single_$log", 10, "INSERT INTO $log (key, u) VALUES (:key, :u) ON CONFLICT DO NOTHING;");
	# Ascending keys, so that writers to several chains do not deadlock
	script("several_$log", 4, qq{
INSERT INTO $log (key, u)
SELECT key, :u + row_number() OVER (ORDER BY key, i)
FROM generate_series(:key, :key + 3) key, generate_series(1, 3) i ORDER BY key, i
ON CONFLICT DO NOTHING;});
	script("rollback_$log", 2, qq{BEGIN;
INSERT INTO $log (key, u) VALUES (:key, :u) ON CONFLICT DO NOTHING;
ROLLBACK;});
	script("savepoints_$log", 4, qq{BEGIN;
SAVEPOINT a;
INSERT INTO $log (key, u) VALUES (:key, :u) ON CONFLICT DO NOTHING;
SAVEPOINT b;
INSERT INTO $log (key, u) VALUES (:key, :u + 7) ON CONFLICT DO NOTHING;
ROLLBACK TO b;
INSERT INTO $log (key, u) VALUES (:key, :u + 9) ON CONFLICT DO NOTHING;
RELEASE a;
SAVEPOINT a;
INSERT INTO $log (key, u) VALUES (:key, :u + 11), (:key, :u + 11) ON CONFLICT DO NOTHING;
ROLLBACK TO a;
INSERT INTO $log (key, u) VALUES (:key, :u + 13), (:key, :u + 13) ON CONFLICT DO NOTHING;
COMMIT;});
	script("verify_$log", 1, "\\sleep 30 ms\nSELECT require_intact('$log');");
}
# The logs always in this order, as with any lock
script('two_logs', 4, q{BEGIN;
INSERT INTO elastic (key, u) VALUES (:key, :u) ON CONFLICT DO NOTHING;
INSERT INTO keyed (key, u) VALUES (:key, :u) ON CONFLICT DO NOTHING;
INSERT INTO elastic (key, u) VALUES (:key, :u + 5) ON CONFLICT DO NOTHING;
COMMIT;});

# Unique keys that two writers take in opposite order deadlock, whatever auditchain does
$node->command_checks_all(
	[
		'pgbench', '-n', '-c', '32', '-j', '2', '-T', $seconds, '--max-tries', '100', @scripts,
		'-h', $node->host, '-p', $node->port, 'postgres'
	],
	0,
	[ qr/number of transactions actually processed: [1-9]/, qr/number of failed transactions: 0/ ],
	[qr/^(?!.*(ERROR|aborted))/s],
	'no writer failed');
for my $log (@logs)
{
	my $found = chains_of($node, 'postgres', $log);
	like($found, qr/^[1-9]\d* entries, \d+ chains, 0 broken$/, "$log: $found");
	is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'object'}),
	'0', 'no lock is left');

done_testing();
