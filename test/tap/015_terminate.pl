# Sessions are terminated at random under load: what they held is free, and no chain has a gap.
# AUDITCHAIN_TEST_KILLS sets how many.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $kills = $ENV{AUDITCHAIN_TEST_KILLS} // 200;
my $node = new_node('terminate');
$node->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'auditchain'
	max_connections = 40});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE elastic (id bigserial PRIMARY KEY, note text);
	CREATE TABLE strict (id bigserial PRIMARY KEY, note text);
	CREATE TABLE keyed (id bigserial PRIMARY KEY, note text, key int);
	SELECT auditchain.protect('elastic', lanes => 4), auditchain.protect('strict', lanes => 1),
		auditchain.protect('keyed', chain_by => '{key}');
});
my $script = PostgreSQL::Test::Utils::tempdir() . '/insert.sql';
append_to_file(
	$script, q{
\set key random(1, 50)
BEGIN;
INSERT INTO elastic (note) VALUES ('x');
SAVEPOINT s;
INSERT INTO keyed (note, key) SELECT 'y', (:key + i) / 2 FROM generate_series(1, 5) i;
ROLLBACK TO s;
INSERT INTO keyed (note, key) VALUES ('z', :key);
INSERT INTO strict (note) VALUES ('x');
COMMIT;
INSERT INTO strict (note) VALUES ('y'), ('z');
});

# pgbench does not replace a client that lost its connection: each has a pgbench to itself, in a loop
my $pgbench = sprintf 'pgbench -n -T 5 -f %s -h %s -p %s postgres', $script, $node->host, $node->port;
my $stop = PostgreSQL::Test::Utils::tempdir() . '/stop';
my @clients = map {
	IPC::Run::start([ 'sh', '-c', "until [ -e $stop ]; do $pgbench; done" ],
		'>', '/dev/null', '2>', '/dev/null')
} 1 .. 12;

# A victim may be gone before it is hit, which PostgreSQL warns of.
my $killed = $node->safe_psql('postgres', qq{
	SET log_min_messages = error;
	CREATE TEMP TABLE killed (state text);
	DO \$\$
	DECLARE
		victim record;
		killed int := 0;
		states text := '';
	BEGIN
		WHILE killed < $kills LOOP
			PERFORM pg_sleep(random() * 0.03), pg_stat_clear_snapshot();
			SELECT pid, coalesce(wait_event_type, 'running') AS state INTO victim FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL ORDER BY random() LIMIT 1;
			IF FOUND AND pg_terminate_backend(victim.pid) THEN
				killed := killed + 1;
				INSERT INTO killed VALUES (victim.state);
			END IF;
		END LOOP;
	END \$\$;
	SELECT string_agg(format('%s %s', n, state), ', ' ORDER BY state)
	FROM (SELECT state, count(*) AS n FROM killed GROUP BY state) AS k});
note("terminated: $killed");
append_to_file($stop, '');
$node->safe_psql('postgres',
	q{SET log_min_messages = error;
	  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	  WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'});
$_->finish for @clients;

is($node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_locks
		WHERE locktype = 'object' AND classid IN ('elastic'::regclass, 'strict'::regclass, 'keyed'::regclass)}),
	'0', 'no lock is left');
for my $log ('elastic', 'strict', 'keyed')
{
	my $found = chains_of($node, 'postgres', $log);
	like($found, qr/^[1-9]\d+ entries, \d+ chains, 0 broken$/, "$log: $found");
	is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
		't', "$log verifies");
}
$node->safe_psql('postgres', qq{
	SET lock_timeout = '5s';
	INSERT INTO strict (note) VALUES ('after');
	INSERT INTO elastic (note) VALUES ('after');
	INSERT INTO keyed (note, key) SELECT 'after', i FROM generate_series(1, 60) i});
like(chains_of($node, 'postgres', $_), qr/ 0 broken$/, "$_ goes on") for 'elastic', 'strict', 'keyed';
is(trouble_in($node), '', 'no trouble in the log');

done_testing();
