# The background worker seals every log of every database at its interval and at shutdown, comes back
# whatever ends it, and is in nobody's way.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('sealer', allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 1
restart_after_crash = on
max_worker_processes = 12
max_prepared_transactions = 5
allow_in_place_tablespaces = on
});
$node->start;

# A log is sealed when its newest checkpoint has all its entries and is new, or was renewed.
sub sealed_since
{
	my ($log, $time) = @_;
	return qq{
		SELECT count(*) > 0 FROM auditchain.checkpoints WHERE log = '$log'::regclass
		AND tree_size = (SELECT count(*) FROM $log) AND greatest(created_at, renewed_at) > '$time'};
}

sub check_sealing
{
	my ($database, $log, $name, $on) = @_;
	$on //= $node;
	my $now = $on->safe_psql($database, 'SELECT clock_timestamp()');
	ok($on->poll_query_until($database, sealed_since($log, $now)), "$name: $database.$log is sealed");
	return;
}

sub make_log
{
	my ($database, $log) = @_;
	$node->safe_psql($database, qq{
		CREATE EXTENSION IF NOT EXISTS auditchain;
		CREATE TABLE $log (id bigserial PRIMARY KEY, note text);
		SELECT auditchain.protect('$log');
		INSERT INTO $log (note) VALUES ('one'), ('two')});
	return;
}

sub status_of
{
	my ($database, $item, $on) = @_;
	return ($on // $node)->safe_psql($database,
		"SELECT concat_ws(': ', value, advice) FROM auditchain.status() WHERE item = '$item'");
}

# The sealers' pids in a database, or in all.
sub sealers
{
	my ($database) = @_;
	return $node->safe_psql('postgres', q{
		SELECT pid FROM pg_stat_activity WHERE backend_type = 'auditchain sealer'}
		  . ($database ? " AND datname = '$database'" : ''));
}

sub set_interval
{
	my ($seconds) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET auditchain.checkpoint_interval = $seconds");
	$node->reload;
	return;
}

# Every log of every database that has some, and no other

$node->safe_psql('postgres', "CREATE DATABASE $_") for 'one', 'two';
$node->safe_psql('two', 'CREATE EXTENSION auditchain');
my $asked_at = time;
make_log('postgres', 'events');
make_log('one', $_) for 'events', 'orders';
ok($node->poll_query_until('one', 'SELECT count(*) > 0 FROM auditchain.checkpoints'), 'a new log is sealed');
cmp_ok(time - $asked_at, '<', 30, 'before the next look into all databases');
for my $round (1, 2)
{
	check_sealing('postgres', 'events', "interval $round");
	check_sealing('one', $_, "interval $round") for 'events', 'orders';
}
like(sealers('postgres'), qr/^\d+$/, 'one sealer in a database');
like(sealers('one'), qr/^\d+$/, 'and in another');
ok($node->poll_query_until('postgres', q{
	SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'auditchain sealer'}),
	'none where there is no log');
is(status_of('one', 'sealing'), 'every 1 s', 'status() tells that logs are sealed');
like(status_of('one', 'last sealing'), qr/^\d{4}-\d\d-\d\d \S+$/, 'and when they were');
is($node->safe_psql('one', q{
	SELECT usesysid FROM pg_stat_activity WHERE backend_type = 'auditchain sealer' AND datname = 'one'}),
	'10', 'sealers run as the bootstrap superuser');
$node->safe_psql('one', q{INSERT INTO events (note) VALUES ('more')});
check_sealing('one', 'events', 'a log that grows');
make_log('two', 'events');
check_sealing('two', 'events', 'a database that gets its first log later');

# What the owner of a database sets does not keep the sealer from its work

$node->safe_psql('two', q{
	CREATE ROLE app LOGIN;
	ALTER DATABASE two SET role = app;
	ALTER DATABASE two SET session_authorization = app;
	ALTER DATABASE two SET exit_on_error = on;
	ALTER DATABASE two SET default_transaction_read_only = on;
	ALTER DATABASE two SET search_path = public;
	ALTER DATABASE two SET statement_timeout = 1});
my $before = sealers('two');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($before)");
ok($node->poll_query_until('postgres', qq{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'auditchain sealer' AND datname = 'two' AND pid <> $before}), 'a sealer begins anew');
{
	my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
	local $ENV{PGOPTIONS} =
	  "-c statement_timeout=0 -c search_path=public -c session_authorization=$superuser -c role=none";
	check_sealing('two', 'events', 'whatever the settings of the database');
}
$node->safe_psql('postgres', 'ALTER DATABASE two RESET ALL');

# An error in one log stops no other

my $from = -s $node->logfile;
$node->safe_psql('one', q{
	ALTER TABLE orders DISABLE TRIGGER ALL;
	INSERT INTO orders (note, chain_id, chain_position, previous_checksum, checksum)
	SELECT 'forged', chain_id, chain_position + 1, sha256('x'), sha256('y')
	FROM orders ORDER BY chain_position DESC LIMIT 1;
	ALTER TABLE orders ENABLE TRIGGER ALL});
$node->wait_for_log(qr/ERROR:  log "orders" cannot be sealed\n.*CONTEXT:  auditchain sealer, sealing log public.orders/s, $from);
check_sealing('one', 'events', 'beside a broken log');
like(status_of('one', 'last sealing'), qr/^\d.*: sealing log public.orders: log "orders" cannot be sealed/,
	'status() has the error');
like(status_of('two', 'last sealing'), qr/^\d{4}-\d\d-\d\d \S+$/, 'where it is');
$node->safe_psql('one', q{
	ALTER TABLE orders DISABLE TRIGGER ALL;
	DELETE FROM orders WHERE note = 'forged';
	ALTER TABLE orders ENABLE TRIGGER ALL});
check_sealing('one', 'orders', 'mended');
ok($node->poll_query_until('one', q{
	SELECT advice IS NULL FROM auditchain.status() WHERE item = 'last sealing'}), 'the error is forgotten');

my $session = $node->background_psql('one');
$session->query_safe('BEGIN; LOCK TABLE orders');
check_sealing('one', 'events', 'beside a locked log');
ok($node->poll_query_until('one', q{
	SELECT advice LIKE 'sealing log public.orders: %lock timeout' FROM auditchain.status()
	WHERE item = 'last sealing'}), 'which is not waited for');
check_sealing('one', 'events', 'after the wait');
$session->query_safe('COMMIT');
$session->quit;

# Commands that want a database for themselves

$node->safe_psql('postgres', q{CREATE TABLESPACE elsewhere LOCATION ''});
for my $case (
	[ 'one', 'CREATE DATABASE copy TEMPLATE one' ],
	[ 'one', 'ALTER DATABASE one RENAME TO uno' ],
	[ 'uno', 'ALTER DATABASE uno SET TABLESPACE elsewhere' ],
	[ 'uno', 'ALTER DATABASE uno SET TABLESPACE pg_default' ],
	[ 'uno', 'ALTER DATABASE uno RENAME TO one' ],
	[ 'copy', 'DROP DATABASE copy' ])
{
	my ($database, $command) = @$case;
	check_sealing($database, 'events', "before $command");
	like(sealers($database), qr/^\d+$/, "before $command: there is a sealer");
	my ($status, $stdout, $stderr) = $node->psql('postgres', $command);
	is($stderr, '', "$command: nobody is in its way");
}
check_sealing('one', 'events', 'after all that');
$node->safe_psql('postgres', 'BEGIN; ALTER DATABASE one RENAME TO uno; ROLLBACK');
check_sealing('one', 'events', 'a command that was rolled back');
$node->safe_psql('postgres', 'ALTER DATABASE two IS_TEMPLATE true; CREATE ROLE maker LOGIN CREATEDB');
check_sealing('two', 'events', 'a template');
my @as_maker = (extra_params => [ '-U', 'maker' ]);
my ($status, $stdout, $stderr) = $node->psql('postgres', 'CREATE DATABASE made TEMPLATE two', @as_maker);
is($stderr, '', 'who may copy a template can copy one with logs');
check_sealing('made', 'events', 'a copied database');
($status, $stdout, $stderr) = $node->psql('postgres', 'DROP DATABASE made WITH (FORCE)', @as_maker);
is($stderr, '', 'an owner who is no superuser can drop the database');

# Who may not run such a command does not stop the sealing with it

my $sealer = sealers('one');
for my $command ('DROP DATABASE one', 'ALTER DATABASE one RENAME TO uno', 'CREATE DATABASE x TEMPLATE one')
{
	($status, $stdout, $stderr) = $node->psql('postgres', $command, extra_params => [ '-U', 'app' ]);
	like($stderr, qr/ERROR:  (must be owner|permission denied)/, "$command: refused");
}
check_sealing('one', 'events', 'after refused commands');
is(sealers('one'), $sealer, 'the sealer has stayed');

# Whatever ends a worker, it comes back

$node->safe_psql('postgres', "SELECT pg_cancel_backend($sealer)");
check_sealing('one', 'events', 'after pg_cancel_backend()');
is(sealers('one'), $sealer, 'the sealer goes on');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($sealer)");
check_sealing('one', 'events', 'after pg_terminate_backend()');
ok($node->poll_query_until('postgres', qq{
	SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'auditchain sealer' AND datname = 'one' AND pid <> $sealer}), 'by another sealer');
$sealer = sealers('one');
$node->safe_psql('postgres', q{
	SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'auditchain launcher'});
check_sealing('one', 'events', 'without a launcher');
ok($node->poll_query_until('postgres', q{
	SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'auditchain launcher'}), 'the launcher is back');
$node->safe_psql('postgres', 'CREATE DATABASE three');
make_log('three', 'events');
check_sealing('three', 'events', 'the new launcher');
is(sealers('one'), $sealer, 'and has left the sealers that there were');
$from = -s $node->logfile;
kill 'KILL', $sealer;
$node->wait_for_log(qr/database system is ready to accept connections/, $from);
$node->poll_query_until('postgres', 'SELECT true');
check_sealing('one', 'events', 'after a crash');

# Keys are read anew with the configuration

my $key = PostgreSQL::Test::Utils::tempdir() . '/receipt.key';
append_to_file($key, '0123456789abcdef' x 4 . "\n");
chmod 0600, $key;
$node->safe_psql('postgres', "ALTER SYSTEM SET auditchain.receipt_key_file = '$key'");
$node->reload;
ok($node->poll_query_until('postgres', q{
	SELECT value ~ '^[0-9a-f]{8}$' FROM auditchain.status() WHERE item = 'receipt key'}),
	'a reload of the configuration reads the keys');

# A standby seals nothing, a promoted one begins

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
check_sealing('one', 'events', 'with a standby');
is($standby->safe_psql('one', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'auditchain%'}),
	'0', 'no worker on the standby');
is(status_of('one', 'sealing', $standby), 'on the primary only', 'status() says so');
$standby->promote;
check_sealing('one', 'events', 'the promoted standby', $standby);
$standby->stop;

# Off, and on again

set_interval(0);
ok($node->poll_query_until('postgres', q{
	SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'auditchain sealer'}),
	'an interval of 0 ends the sealers');
is(status_of('one', 'sealing'), 'off', 'status() says so');
set_interval(1);
check_sealing('one', 'events', 'on again');

# The last entries before a shutdown are sealed by it

sub unsealed
{
	return $node->safe_psql('one', q{
		SELECT (SELECT count(*) FROM events) - (SELECT max(tree_size) FROM auditchain.checkpoints
		WHERE log = 'events'::regclass)});
}

# With a long interval there is one pass only, at server start.
sub check_first_sealing
{
	my ($name) = @_;
	ok($node->poll_query_until('one', q{
		SELECT value NOT LIKE 'never%' FROM auditchain.status() WHERE item = 'last sealing'}), $name);
	return;
}

for my $mode ('fast', 'smart')
{
	set_interval(3600);
	$node->restart;
	check_first_sealing('a server that starts seals');
	$node->safe_psql('one', q{INSERT INTO events (note) VALUES ('the last one')});
	is(unsealed(), '1', 'an entry is not sealed');
	$node->stop($mode);
	$node->append_conf('postgresql.auto.conf', 'auditchain.checkpoint_interval = 0');
	$node->start;
	is(unsealed(), '0', "a $mode shutdown has sealed it");
}

# A log that cannot be sealed does not keep the server from stopping, nor the other logs from being sealed

set_interval(3600);
check_first_sealing('so does one whose interval is set');
$node->safe_psql('one', q{
	INSERT INTO events (note) VALUES ('the last one');
	BEGIN;
	LOCK TABLE orders;
	PREPARE TRANSACTION 'forgotten'});
$asked_at = time;
$node->stop('fast');
cmp_ok(time - $asked_at, '<', 30, 'a locked log does not stop the shutdown');
$node->append_conf('postgresql.auto.conf', 'auditchain.checkpoint_interval = 0');
$node->start;
is(unsealed(), '0', 'nor the last checkpoint of another');
$node->safe_psql('one', "ROLLBACK PREPARED 'forgotten'");
$node->stop;

# pg_upgrade finds nobody in its databases, nor does a single user

$node->append_conf('postgresql.auto.conf', 'auditchain.checkpoint_interval = 1');
my @server = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile);
system_or_bail(@server, '-o', '-b', 'start');
my @psql = ('psql', '-XAt', '-h', $node->host, '-p', $node->port, '-d', 'one');
($stdout, $stderr) = run_command([ @psql, '-c', q{
	SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'auditchain%'} ]);
is($stdout . $stderr, '0', 'no worker in binary upgrade');
system_or_bail(@server, '-m', 'fast', 'stop');
is(scalar(run_log([ 'postgres', '--single', '-D', $node->data_dir, 'one' ], '<', \'SELECT 1')), 1, 'a single user is let in');

# A server that has no worker left says so; one that lost its cache file of shared catalogs, too

$node->append_conf('postgresql.conf', 'max_worker_processes = 2');
$from = -s $node->logfile;
unlink $node->data_dir . '/global/pg_internal.init';
$node->start;
$node->wait_for_log(qr/LOG:  auditchain cannot start a sealer for database.*HINT:  Raise max_worker_processes/s, $from);
like(status_of('one', 'sealing'), qr/^not running: All background workers.*Raise max_worker_processes/, 'status() says so');
sleep 3;
is(scalar(() = slurp_file($node->logfile, $from) =~ /cannot start a sealer/g), 1, 'the log has it once');
unlike(slurp_file($node->logfile, $from), qr/FATAL/, 'and no error');
$node->stop;

done_testing();
