# A log that is replicated logically into a subscriber's log: entries arrive as they are, each is checked
# to be the next of its chain, and a broken one stops the subscription.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = new_node('publisher', allows_streaming => 'logical');
$publisher->start;
my $subscriber = start_node('subscriber');

my $schema = q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id int PRIMARY KEY, tenant text, details jsonb);
	SELECT auditchain.protect('events', chain_by => '{tenant}');
};
$_->safe_psql('postgres', $schema) for $publisher, $subscriber;
$publisher->safe_psql(
	'postgres', q{
	INSERT INTO events SELECT i, 'tenant ' || i % 3, jsonb_build_object('n', i) FROM generate_series(1, 30) i;
	CREATE PUBLICATION log FOR TABLE events;
});
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION log CONNECTION '$connection' PUBLICATION log");
$subscriber->wait_for_subscription_sync($publisher, 'log');

my $content = q{
	SELECT id, chain_id, chain_position, encode(previous_checksum, 'hex'), encode(checksum, 'hex'),
		auditchain.payload(e) FROM events e ORDER BY id};

sub check_same
{
	my ($entries, $when) = @_;
	$publisher->wait_for_catchup('log');
	is( $subscriber->safe_psql('postgres', $content),
		$publisher->safe_psql('postgres', $content), "entries are the publisher's $when");
	is( $subscriber->safe_psql('postgres', q{SELECT intact, total_events FROM auditchain.verify('events')}),
		"t|$entries", "the subscriber's log verifies $when");
	return;
}

check_same(30, 'after the first copy');

$publisher->safe_psql(
	'postgres', q{
	INSERT INTO events SELECT i, 'tenant ' || i % 5, NULL FROM generate_series(31, 60) i;
	BEGIN;
	INSERT INTO events VALUES (61, 'tenant 0', '{}');
	SAVEPOINT s;
	INSERT INTO events VALUES (62, 'tenant 0', '{}'), (63, 'a new tenant', '{}');
	ROLLBACK TO s;
	INSERT INTO events VALUES (64, 'tenant 0', '{}'), (65, 'another', '{}');
	COMMIT;
});
check_same(63, 'after going on');

# Two sessions at once, so that a second lane begins
my $other = $publisher->background_psql('postgres');
$other->query_safe('BEGIN');
$other->query_safe(q{INSERT INTO events VALUES (70, 'tenant 0', '{}')});
$publisher->safe_psql('postgres', q{INSERT INTO events VALUES (71, 'tenant 0', '{}')});
$other->query_safe('COMMIT');
$other->quit;
check_same(65, 'with two lanes of a key');
is( $subscriber->safe_psql(
		'postgres', q{
		SELECT count(*), count(DISTINCT lane) FROM auditchain.chain WHERE key = '["tenant 0"]'}),
	'2|2',
	'the chains of a key have lanes of their own');

# A change that only the subscriber's guard is left to refuse
sub check_refused
{
	my ($deed, $message, $name) = @_;
	my $from = -s $subscriber->logfile;
	$publisher->safe_psql('postgres', "ALTER TABLE events DISABLE TRIGGER ALL; $deed");
	ok( $subscriber->wait_for_log($message, $from), $name );
	is( $subscriber->safe_psql('postgres', q{SELECT intact, total_events FROM auditchain.verify('events')}),
		't|65', "$name: the subscriber's log is whole");
	# The publisher's history of it is skipped, as an operator would
	$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION log DISABLE');
	$subscriber->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_subscription WHERE pid IS NOT NULL});
	my $end = $publisher->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
	$subscriber->safe_psql(
		'postgres', qq{
		SELECT pg_replication_origin_advance(external_id, '$end') FROM pg_subscription s,
			LATERAL (SELECT 'pg_' || s.oid AS external_id) o;
		ALTER SUBSCRIPTION log ENABLE});
	return;
}

check_refused(
	q{INSERT INTO events SELECT 100, tenant, details, chain_id, chain_position + 1, checksum, sha256('forged')
		FROM events WHERE id = 71},
	qr/LC011|replicated entry of log "events" is broken.*content does not match its checksum/s,
	'a forged checksum is refused');
check_refused(
	q{INSERT INTO events SELECT 101, tenant, details, chain_id, chain_position + 7, checksum,
		sha256(convert_to(encode(checksum, 'hex')
			|| '{"details":' || details::text || ',"id":101,"tenant":"' || tenant || '"}', 'UTF8'))
		FROM events WHERE id = 71},
	qr/does not follow the newest entry here/, 'an entry behind a gap is refused');
check_refused(q{UPDATE events SET tenant = 'x' WHERE id = 5}, qr/append-only/,
	'an UPDATE is refused');
check_refused(q{DELETE FROM events WHERE id = 5}, qr/append-only/, 'a DELETE is refused');

# The subscriber becomes a log of its own
$subscriber->safe_psql(
	'postgres', q{
	ALTER SUBSCRIPTION log DISABLE;
	ALTER SUBSCRIPTION log SET (slot_name = NONE);
	DROP SUBSCRIPTION log;
	INSERT INTO events VALUES (200, 'tenant 0', '{}'), (201, 'tenant 1', '{}'), (202, 'of its own', '{}')});
is( $subscriber->safe_psql('postgres', q{SELECT intact, total_events FROM auditchain.verify('events')}),
	't|68', 'it goes on where replication ended');

done_testing();
