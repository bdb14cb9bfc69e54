# Auditors may work on a hot standby and in read-only transactions; a promoted standby goes on.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_node('primary', allows_streaming => 1);
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id int PRIMARY KEY, tenant text, at timestamptz);
	SELECT auditchain.protect('events', chain_by => '{tenant}');
	INSERT INTO events SELECT i, i % 3, '2026-01-01 00:00+00' FROM generate_series(1, 300) i;
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{INSERT INTO events VALUES (301, 'new', 'infinity')});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my $digest = q{SELECT md5(string_agg(auditchain.payload(e), '' ORDER BY id)) FROM events e};
is($standby->safe_psql('postgres', $digest),
	$primary->safe_psql('postgres', $digest), 'payloads on the standby');
is( $standby->safe_psql('postgres', "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; $digest"),
	$primary->safe_psql('postgres', $digest),
	'payloads on the standby under other settings');
is(chains_of($standby, 'postgres', 'events'), '301 entries, 4 chains, 0 broken', 'chains');
my $verified = '301|301|4|All 301 audit events verified. Chain integrity intact.';
my $verify = q{
	SELECT total_events, verified_events, chains, message FROM auditchain.verify('events')};
is($standby->safe_psql('postgres', $verify), $verified, 'verify() on the standby');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM auditchain.violations('events')}),
	'0', 'violations() on the standby');
is($standby->safe_psql('postgres', q{SELECT auditchain._guard('events')}), 'on', 'guard');
for my $mode ('READ ONLY', 'ISOLATION LEVEL REPEATABLE READ READ ONLY',
	'ISOLATION LEVEL SERIALIZABLE READ ONLY')
{
	is($primary->safe_psql('postgres', "BEGIN $mode; $verify; COMMIT"), $verified, $mode);
}
my (undef, undef, $stderr) = $standby->psql('postgres', 'INSERT INTO events VALUES (302)');
like($stderr, qr/read-only transaction/, 'no INSERT on the standby');

$primary->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', q{
	INSERT INTO events VALUES (302, 'new', NULL), (303, 'after promotion', NULL)});
is(chains_of($standby, 'postgres', 'events'),
	'303 entries, 5 chains, 0 broken', 'the promoted standby goes on');

done_testing();
