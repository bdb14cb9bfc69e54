# synchronous_commit is what the user set after every way to end a transaction, COMMIT flushes or
# waits as it asks, and whoever waits for a standby keeps no other writer waiting.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use Test::More;

my $node = new_node('commit_settings');
# Nobody else writes or flushes WAL
$node->append_conf(
	'postgresql.conf', q{
	shared_preload_libraries = 'auditchain'
	auditchain.checkpoint_interval = 0 # no commits but the test's
	max_prepared_transactions = 5
	fsync = on
	wal_level = minimal
	max_wal_senders = 0
	autovacuum = off
	wal_writer_delay = 10s});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE parents (id int PRIMARY KEY);
	CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE strict (id bigserial, note text);
	CREATE TABLE others (id bigserial, note text);
	SELECT auditchain.protect('strict', lanes => 1, order_by => '{id}');
	SELECT auditchain.protect('others', order_by => '{id}');
	CREATE PROCEDURE insert_and_commit() LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO strict (note) VALUES ('p');
		COMMIT;
		PERFORM set_config('synchronous_commit', 'off', true);
		INSERT INTO strict (note) VALUES ('p');
		COMMIT;
		INSERT INTO strict (note) VALUES ('p');
		ROLLBACK;
		INSERT INTO others (note) VALUES ('p');
	END $$;
});

my $insert = "INSERT INTO strict (note) VALUES ('x'); INSERT INTO others (note) VALUES ('x')";
my @ends = (
	[ 'COMMIT', "BEGIN; $insert; COMMIT" ],
	[ 'ROLLBACK', "BEGIN; $insert; ROLLBACK" ],
	[ 'an error', "BEGIN; $insert; SELECT 1 / 0; COMMIT", qr/division by zero/ ],
	[ 'COMMIT with SET LOCAL', "BEGIN; SET LOCAL synchronous_commit = off; $insert; COMMIT" ],
	[
		'COMMIT with SET LOCAL in a savepoint',
		"BEGIN; SAVEPOINT s; SET LOCAL synchronous_commit = off; $insert; ROLLBACK TO s; $insert; COMMIT"
	],
	[ 'ROLLBACK with SET', "BEGIN; SET synchronous_commit = off; $insert; ROLLBACK" ],
	[ 'COMMIT AND CHAIN', "BEGIN; $insert; COMMIT AND CHAIN; $insert; COMMIT AND CHAIN; ROLLBACK" ],
	[
		'a deferred constraint that fails at commit',
		"BEGIN; $insert; INSERT INTO children VALUES (1); COMMIT", qr/foreign key/
	],
	# This one fails when synchronous_commit is already turned off
	[
		'temporary tables that fail at commit',
		"BEGIN; $insert; CREATE TEMP TABLE p (id int PRIMARY KEY) ON COMMIT DELETE ROWS;
		CREATE TEMP TABLE c (id int REFERENCES p); COMMIT", qr/unsupported ON COMMIT/
	],
	# The guard lets the index go, and is reported as disabled
	[
		'an error while the head is made sure of',
		"BEGIN; SAVEPOINT s; $insert; RELEASE s; ALTER TABLE strict DROP CONSTRAINT strict_chain_id_chain_position_key; COMMIT",
		qr/has lost its index/
	],
	[ 'a procedure that commits', 'CALL insert_and_commit()' ],
	[ 'PREPARE TRANSACTION', "BEGIN; $insert; PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'" ],
	[ 'a rolled back savepoint only', "BEGIN; SAVEPOINT s; $insert; ROLLBACK TO s; COMMIT" ],
	[ 'COMMIT without pipelining', "SET auditchain.pipelined_commit = off; BEGIN; $insert; COMMIT" ],);
for my $end (@ends)
{
	my ($name, $sql, $error) = @$end;
	for my $level ('off', 'local', 'remote_write', 'on', 'remote_apply')
	{
		my ($status, $stdout, $stderr) = $node->psql('postgres', qq{
			SET synchronous_commit = $level;
			$sql;
			ROLLBACK;
			SHOW synchronous_commit}, on_error_stop => 0);
		is($stdout, $level, "$level after $name");
		like($stderr, $error, "$name: the error") if $error && $level eq 'on';
	}
	# The same session's next COMMIT is flushed when it returns
	my ($status, $flushed) = $node->psql('postgres', qq{
		SET synchronous_commit = on;
		$sql;
		ROLLBACK;
		BEGIN;
		$insert;
		SELECT pg_current_wal_insert_lsn() AS inserted \\gset
		COMMIT;
		SELECT pg_current_wal_flush_lsn() > :'inserted'::pg_lsn},
		on_error_stop => 0);
	is($flushed, 't', "COMMIT flushes after $name");
}

# A standby that never comes: who waits for it keeps the strict log free
$node->append_conf('postgresql.conf', q{
	wal_level = replica
	max_wal_senders = 5
	synchronous_standby_names = 'nobody'});
$node->restart;
my $waiting = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "INSERT INTO strict (note) VALUES ('waits')" ],
	'>', \my $stdout, '2>', \my $stderr);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'})
  or die 'nobody waits for the standby';
$node->safe_psql('postgres', q{
	SET lock_timeout = '5s';
	SET synchronous_commit = local;
	INSERT INTO strict (note) VALUES ('goes on');
	BEGIN;
	SET LOCAL synchronous_commit = off;
	INSERT INTO strict (note) VALUES ('goes on too');
	COMMIT});
is($node->safe_psql('postgres', q{SELECT string_agg(note, ', ' ORDER BY chain_position)
	FROM (SELECT * FROM strict ORDER BY chain_position DESC LIMIT 3) newest}),
	'waits, goes on, goes on too', 'other writers go on');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}),
	'1', 'while the first one waits');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'});
$waiting->finish;
like($stderr, qr/canceling wait for synchronous replication/, 'which can be cancelled');
for my $log ('strict', 'others')
{
	like(chains_of($node, 'postgres', $log), qr/ 0 broken$/, "$log is whole");
	is($node->safe_psql('postgres', "BEGIN READ ONLY; SELECT intact FROM auditchain.verify('$log'); COMMIT"), 't', "$log verifies");
}

done_testing();
