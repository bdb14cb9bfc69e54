# A log that is dumped and restored keeps its payloads, goes on where it was, and stays guarded.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = start_node('source');
$source->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TYPE place AS (x int, y text);
	CREATE TABLE events (
		gone int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone_too text, old_name text,
		tenant text, place place, twice int GENERATED ALWAYS AS (length(tenant) * 2) STORED,
		at timestamptz DEFAULT '2026-01-01 00:00+00');
	ALTER TABLE events DROP COLUMN gone, DROP COLUMN gone_too;
	INSERT INTO events (old_name, tenant, place) VALUES ('before', 'a', (1, 'é')), ('before', 'b', NULL);
	SELECT auditchain.protect('events', chain_by => '{tenant}');
	INSERT INTO events (old_name, tenant) VALUES ('first', 'a'), ('first', 'c');
	ALTER TABLE events RENAME COLUMN old_name TO new_name;
	ALTER TABLE events RENAME COLUMN place TO old_name;
	ALTER TABLE events ADD COLUMN later text, ADD COLUMN with_default int DEFAULT 7;
	INSERT INTO events (new_name, tenant, later, with_default)
		VALUES ('second', 'a', 'added', 8), ('second', 'b', NULL, NULL), ('third', 'b', NULL, 7);
	CREATE TABLE parted (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE parted_a (region text NOT NULL, dropped int, id int NOT NULL);
	ALTER TABLE parted_a DROP COLUMN dropped;
	ALTER TABLE parted ATTACH PARTITION parted_a FOR VALUES IN ('a');
	CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
	SELECT auditchain.protect('parted', lanes => 1);
	INSERT INTO parted VALUES (1, 'a'), (2, 'b'), (3, 'a');
	CREATE TABLE again (id int PRIMARY KEY);
	SELECT auditchain.protect('again');
	SELECT auditchain.release('again', 'to protect it again');
	ALTER TABLE again DROP COLUMN chain_id, DROP COLUMN chain_position,
		DROP COLUMN previous_checksum, DROP COLUMN checksum;
	SELECT auditchain.protect('again');
});

my $payloads = q{
	SELECT chain_id, chain_position, encode(checksum, 'hex'), auditchain.payload(e)
	FROM events e ORDER BY 1, 2};
my $parted_payloads = q{
	SELECT chain_position, encode(checksum, 'hex'), auditchain.payload(e)
	FROM parted e ORDER BY 1};
my $triggers = q{
	SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
	WHERE tgname LIKE '%auditchain%' ORDER BY tgrelid::regclass::text, tgname};
my %expected = map { $_ => $source->safe_psql('postgres', $_) } $payloads, $parted_payloads,
  $triggers;
like($expected{$payloads},
	qr/\{"at":"2026-01-01T00:00:00.000000Z","id":1,"old_name":"before","place":\{"x":1,"y":"é"\},"tenant":"a"\}/,
	'members are named as they were when protection began');
is(chains_of($source, 'postgres', 'events'), '7 entries, 3 chains, 0 broken', 'the log is whole');

my $dir = PostgreSQL::Test::Utils::tempdir();
$source->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", $source->connstr('postgres') ],
	'dump as SQL');
$source->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", $source->connstr('postgres') ],
	'dump as archive');
$source->command_ok([ 'pg_dump', '-Fd', '-f', "$dir/directory", $source->connstr('postgres') ],
	'dump as directory');
$source->stop;

my $target = start_node('target');

sub check_restored
{
	my ($database) = @_;
	is($target->safe_psql($database, $_), $expected{$_}, "$database: what was there is unchanged")
	  for $payloads, $parted_payloads, $triggers;
	is(chains_of($target, $database, 'events'),
		'7 entries, 3 chains, 0 broken', "$database: the log is whole");
	$target->safe_psql(
		$database, q{
		INSERT INTO events (new_name, tenant, later) VALUES ('after', 'a', 'x'), ('after', 'new', NULL);
		INSERT INTO parted VALUES (4, 'b'), (5, 'a');
	});
	is(chains_of($target, $database, 'events'),
		'9 entries, 4 chains, 0 broken', "$database: the log goes on");
	is(chains_of($target, $database, 'parted'),
		'5 entries, 1 chains, 0 broken', "$database: the partitioned log goes on");
	is( $target->safe_psql($database, "SELECT auditchain._guard('events'), auditchain._guard('parted')"),
		'on|on', "$database: the guard is on");
	$target->safe_psql($database, 'INSERT INTO again VALUES (1); ALTER TABLE again ADD COLUMN x int;
		INSERT INTO again (id, x) VALUES (2, 2)');
	is(chains_of($target, $database, 'again'),
		'2 entries, 1 chains, 0 broken', "$database: a log that was released once goes on");
	my ($status, undef, $stderr) = $target->psql($database, 'UPDATE events SET tenant = NULL');
	like($stderr, qr/append-only/, "$database: an UPDATE is refused");
	is($target->safe_psql($database, "SELECT intact FROM auditchain.verify('$_')"),
		't', "$database: $_ verifies")
	  for 'events', 'parted';
	return;
}

$target->safe_psql('postgres', 'CREATE DATABASE plain');
$target->command_ok(
	[ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", $target->connstr('plain') ],
	'restore from SQL');
check_restored('plain');

$target->safe_psql('postgres', 'CREATE DATABASE custom');
$target->command_ok(
	[ 'pg_restore', '-d', $target->connstr('custom'), "$dir/custom" ], 'restore the archive');
check_restored('custom');

# A new cluster may give a table the very OID that it had, though its columns have moved
$target->safe_psql('postgres', 'CREATE DATABASE same_oid');
for my $section ('pre-data', 'data', 'post-data')
{
	$target->command_ok(
		[
			'pg_restore', "--section=$section", '-d', $target->connstr('same_oid'), "$dir/custom"
		],
		"restore $section");
	$target->safe_psql('same_oid', 'UPDATE auditchain.log SET relation_oid = relation WHERE relation IS NOT NULL')
	  if $section eq 'data';
}
check_restored('same_oid');

$target->safe_psql('postgres', 'CREATE DATABASE parallel');
$target->command_ok(
	[ 'pg_restore', '-j', '2', '-d', $target->connstr('parallel'), "$dir/directory" ],
	'restore in parallel');
check_restored('parallel');

done_testing();
