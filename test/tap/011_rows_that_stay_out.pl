# A row that was given a place and then never came in leaves that place to the next: ON CONFLICT DO
# NOTHING, savepoints and errors, where chains share a table and heads are in shared memory or not.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Test::More;

my $node = new_node('rows_that_stay_out');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE FUNCTION make_logs() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TABLE keyed (id int PRIMARY KEY, key text);
		CREATE TABLE parted (id int PRIMARY KEY, key text) PARTITION BY RANGE (id);
		CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
		CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
		PERFORM auditchain.protect('keyed', chain_by => '{key}', lanes => 1);
		PERFORM auditchain.protect('parted', chain_by => '{key}', lanes => 1);
		INSERT INTO keyed VALUES (1, 'a'), (2, 'b');
		INSERT INTO parted VALUES (1, 'a'), (102, 'b');
	END $$;
	CREATE FUNCTION drop_logs() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM auditchain.release('keyed', 'test'), auditchain.release('parted', 'test');
		DROP TABLE keyed, parted;
	END $$;
});

# Each is run for LOG; {1} and {2} are ids in one partition and in the other.
my @cases = (
	[
		'dropped, and another chain goes on', q{
	BEGIN;
	INSERT INTO LOG VALUES (1, 'a') ON CONFLICT DO NOTHING;
	INSERT INTO LOG VALUES (3, 'b');
	INSERT INTO LOG VALUES (4, 'a');
	COMMIT}, 4
	],
	[
		'dropped, another chain goes on, in one statement', q{
	INSERT INTO LOG VALUES (1, 'a'), (3, 'b') ON CONFLICT DO NOTHING;
	INSERT INTO LOG VALUES (4, 'a')}, 4
	],
	[
		'dropped when the table was just opened anew', q{
	BEGIN;
	INSERT INTO LOG VALUES (3, 'a');
	GRANT SELECT ON LOG, parted_1, parted_2 TO PUBLIC;
	INSERT INTO LOG VALUES (1, 'b') ON CONFLICT DO NOTHING;
	INSERT INTO LOG VALUES (4, 'b');
	COMMIT}, 4
	],
	[
		'dropped while rows are not counted', q{
	BEGIN;
	INSERT INTO LOG VALUES (3, 'a');
	SET LOCAL track_counts = off;
	INSERT INTO LOG VALUES (1, 'b') ON CONFLICT DO NOTHING;
	SET LOCAL track_counts = on;
	INSERT INTO LOG VALUES (4, 'b');
	COMMIT}, 4
	],
	[
		'dropped at the end of the transaction', q{
	BEGIN;
	INSERT INTO LOG VALUES (3, 'a');
	INSERT INTO LOG VALUES (1, 'a') ON CONFLICT DO NOTHING;
	COMMIT;
	INSERT INTO LOG VALUES (4, 'a')}, 4
	],
	[
		'nothing but a dropped row', q{
	INSERT INTO LOG VALUES (1, 'a') ON CONFLICT DO NOTHING;
	INSERT INTO LOG VALUES (3, 'a')}, 3
	],
	[
		'a new chain that begins with a dropped row', q{
	BEGIN;
	INSERT INTO LOG VALUES (1, 'new') ON CONFLICT DO NOTHING;
	INSERT INTO LOG VALUES (3, 'a'), (4, 'new');
	COMMIT;
	INSERT INTO LOG VALUES (5, 'new')}, 5
	],
	[
		'alternating chains and partitions', q{
	INSERT INTO LOG
	SELECT i % 150, chr(97 + i % 3) FROM generate_series(1, 300) i ON CONFLICT DO NOTHING}, 150
	],
	[
		'a savepoint that takes one of two chains back', q{
	BEGIN;
	INSERT INTO LOG VALUES (3, 'a');
	SAVEPOINT s;
	INSERT INTO LOG VALUES (4, 'a'), (105, 'b'), (106, 'new');
	ROLLBACK TO s;
	INSERT INTO LOG VALUES (5, 'b'), (6, 'new'), (7, 'new');
	COMMIT;
	INSERT INTO LOG VALUES (8, 'a'), (9, 'b'), (10, 'new')}, 9
	],
	[
		'released savepoints within one that is rolled back', q{
	BEGIN;
	SAVEPOINT s;
	INSERT INTO LOG VALUES (3, 'a');
	SAVEPOINT t;
	INSERT INTO LOG VALUES (4, 'a');
	RELEASE t;
	INSERT INTO LOG VALUES (5, 'a');
	ROLLBACK TO s;
	SAVEPOINT t;
	INSERT INTO LOG VALUES (6, 'a');
	RELEASE t;
	RELEASE s;
	INSERT INTO LOG VALUES (6, 'a') ON CONFLICT DO NOTHING;
	COMMIT;
	INSERT INTO LOG VALUES (7, 'a')}, 4
	],
	[
		'a thousand savepoints, every other rolled back', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 1000 LOOP
			BEGIN
				INSERT INTO LOG VALUES (1000 + i, chr(97 + i % 2));
				IF i % 2 = 0 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION WHEN division_by_zero THEN
				INSERT INTO LOG VALUES (1, 'a') ON CONFLICT DO NOTHING;
			END;
		END LOOP;
	END $$;
	INSERT INTO LOG VALUES (3, 'a'), (4, 'b')}, 504
	],
	[
		'COPY and an error within a savepoint', q{
	BEGIN;
	SAVEPOINT s;
	COPY LOG (id, key) FROM PROGRAM 'printf "3\ta\n4\tb\n1\ta\n"';
	ROLLBACK TO s;
	COPY LOG (id, key) FROM PROGRAM 'printf "3\ta\n104\tb\n"';
	COMMIT;
	INSERT INTO LOG VALUES (5, 'b')}, 5
	],
	[
		'a prepared transaction with a dropped row', q{
	BEGIN;
	INSERT INTO LOG VALUES (3, 'b');
	INSERT INTO LOG VALUES (1, 'a') ON CONFLICT DO NOTHING;
	PREPARE TRANSACTION 'p';
	COMMIT PREPARED 'p';
	INSERT INTO LOG VALUES (4, 'a'), (5, 'b')}, 5
	],);

sub run_cases
{
	my ($mode) = @_;
	for my $case (@cases)
	{
		my ($name, $sql, $entries) = @$case;
		$node->safe_psql('postgres', 'SELECT make_logs()');
		for my $log ('keyed', 'parted')
		{
			# An error in COPY or a savepoint is part of the case
			$node->psql('postgres', $sql =~ s/LOG/$log/gr,
				on_error_stop => 0);
			like(
				chains_of($node, 'postgres', $log),
				qr/^$entries entries, \d chains, 0 broken$/,
				"$mode: $log: $name");
		}
		$node->safe_psql('postgres', 'SELECT drop_logs()');
	}
	return;
}

run_cases('heads from the index');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auditchain'");
$node->restart;
run_cases('heads from memory');

done_testing();
