# What changes a log behind the writers' backs, while heads are in shared memory and sessions stay
# open: entries removed and put back without the guard, the extension dropped and created again, a
# log released and protected anew, a database copied and replaced by a copy.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('behind_the_cache');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auditchain'");
$node->start;

# A session that stays open, as in an application's pool.
sub open_session
{
	my ($database) = @_;
	my $session = { in => '', out => '' };
	$session->{process} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($database) ],
		'<', \$session->{in}, '>', \$session->{out}, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $session;
}

sub in_session
{
	my ($session, $sql) = @_;
	$session->{out} = '';
	$session->{in} .= "$sql;\n\\echo =done=\n";
	$session->{process}->pump until $session->{out} =~ /=done=\n/;
	return $session->{out} =~ s/\n?=done=\n//r;
}

sub close_session
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	$session->{process}->finish;
	return;
}

my $make_log = q{
	CREATE TABLE events (id int PRIMARY KEY, note text);
	SELECT auditchain.protect('events', lanes => 1);
	INSERT INTO events SELECT i, 'x' FROM generate_series(1, 5) i};
my $guard_off = 'ALTER TABLE events DISABLE TRIGGER ALL';
my $guard_on = join ';', map { "ALTER TABLE events ENABLE ALWAYS TRIGGER $_" }
  'zz_auditchain_chain', 'auditchain_guard_row', 'auditchain_guard_statement';
my $places = q{SELECT string_agg(format('%s@%s', id, chain_position), ' ' ORDER BY chain_position, id) FROM events};
my $first_violation = q{SELECT coalesce((SELECT kind || ' ' || "position" FROM auditchain.violations('events') LIMIT 1), 'none')};

$node->safe_psql('postgres', "CREATE EXTENSION auditchain; $make_log");
my @pool = map { open_session('postgres') } 1 .. 2;
in_session($pool[0], "INSERT INTO events VALUES (6, 'x')");
in_session($pool[1], "INSERT INTO events VALUES (7, 'x')");

# The newest entries are removed: the next one follows what is left
$node->safe_psql('postgres', "CREATE TABLE kept AS SELECT * FROM events WHERE id >= 6;
	$guard_off; DELETE FROM events WHERE id >= 6; $guard_on");
in_session($pool[0], "INSERT INTO events VALUES (8, 'x')");
is($node->safe_psql('postgres', $places), '1@1 2@2 3@3 4@4 5@5 8@6', 'goes on after the newest entry that is left');
is($node->safe_psql('postgres', $first_violation), 'none', 'with a whole chain');

# They are put back, as by a restore of the table's rows
$node->safe_psql('postgres', "$guard_off; DELETE FROM events WHERE id = 8;
	INSERT INTO events SELECT * FROM kept; $guard_on");
in_session($pool[1], "INSERT INTO events VALUES (9, 'x') ON CONFLICT DO NOTHING");
is($node->safe_psql('postgres', $places), '1@1 2@2 3@3 4@4 5@5 6@6 7@7 9@8', 'goes on after entries that were put back');
is($node->safe_psql('postgres', $first_violation), 'none', 'with a whole chain');

# All within one transaction that is rolled back
$node->safe_psql('postgres', "BEGIN; $guard_off; DELETE FROM events WHERE id > 3; $guard_on;
	INSERT INTO events VALUES (10, 'lost'); ROLLBACK");
in_session($pool[0], "INSERT INTO events VALUES (10, 'x')");
is($node->safe_psql('postgres', 'SELECT max(chain_position) FROM events'), '9', 'goes on after a rollback of it all');
is($node->safe_psql('postgres', $first_violation), 'none', 'with a whole chain');

# A superuser who turns the event triggers off too: the head in memory is older than the table, and
# what was removed shows
$node->safe_psql('postgres', "ALTER EVENT TRIGGER auditchain_ddl_end DISABLE; $guard_off;
	DELETE FROM events WHERE id = 10; $guard_on; ALTER EVENT TRIGGER auditchain_ddl_end ENABLE ALWAYS");
in_session($pool[1], "INSERT INTO events VALUES (11, 'x')");
is($node->safe_psql('postgres', $first_violation), 'entry_missing 9', 'a removed entry leaves a gap');
# And where an entry was added, the next writer finds its place taken
$node->safe_psql('postgres', "ALTER EVENT TRIGGER auditchain_ddl_end DISABLE; $guard_off;
	INSERT INTO events (id, note, chain_id, chain_position, previous_checksum, checksum)
	SELECT 12, note, chain_id, 11, checksum, sha256(convert_to(encode(checksum, 'hex') || '{\"id\":12,\"note\":\"x\"}', 'UTF8'))
	FROM events WHERE id = 11; $guard_on; ALTER EVENT TRIGGER auditchain_ddl_end ENABLE ALWAYS");
like(in_session($pool[0], "INSERT INTO events VALUES (13, 'x')"), qr/events_chain_id_chain_position_key/,
	'an entry that was added stands in the place of the next');

# Released and protected anew: another log with other chains
$node->safe_psql('postgres', "SELECT auditchain.release('events', 'test');
	ALTER TABLE events DROP COLUMN chain_id, DROP COLUMN chain_position, DROP COLUMN previous_checksum,
		DROP COLUMN checksum;
	SELECT auditchain.protect('events', lanes => 1)");
in_session($_, "INSERT INTO events SELECT max(id) + 1, 'x' FROM events") for @pool;
like(chains_of($node, 'postgres', 'events'), qr/^12 entries, 1 chains, 0 broken$/, 'protected anew');

# The extension is dropped and created again, so that the numbers of chains begin again
for my $round (1 .. 2)
{
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS kept; DROP EXTENSION auditchain CASCADE;
		DROP TABLE events; CREATE EXTENSION auditchain; $make_log");
	in_session($pool[$_], 'INSERT INTO events VALUES (' . (10 * $_ + 6) . ", 'x')") for 0, 1;
	is($node->safe_psql('postgres', $places), '1@1 2@2 3@3 4@4 5@5 6@6 16@7', "extension created again, round $round");
	is($node->safe_psql('postgres', $first_violation), 'none', 'with a whole chain');
}
# Again, and the table stays
$node->safe_psql('postgres', q{
	DROP EXTENSION auditchain CASCADE;
	ALTER TABLE events DROP COLUMN chain_id, DROP COLUMN chain_position, DROP COLUMN previous_checksum,
		DROP COLUMN checksum;
	CREATE EXTENSION auditchain;
	SELECT auditchain.protect('events', lanes => 1)});
in_session($_, "INSERT INTO events SELECT max(id) + 1, 'x' FROM events") for @pool;
is(chains_of($node, 'postgres', 'events'), '9 entries, 1 chains, 0 broken', 'the table protected by the new extension');
close_session($_) for @pool;

# Copies of a database have the same logs, chains and tables, and go their own ways
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE postgres');
$node->safe_psql('copy', "INSERT INTO events SELECT 100 + i, 'copy' FROM generate_series(1, 3) i");
$node->safe_psql('postgres', "INSERT INTO events VALUES (200, 'original')");
$node->safe_psql('copy', "INSERT INTO events VALUES (104, 'copy')");
is(chains_of($node, 'copy', 'events'), '13 entries, 1 chains, 0 broken', 'copy');
is(chains_of($node, 'postgres', 'events'), '10 entries, 1 chains, 0 broken', 'original');
# A copy takes the place of another, under its name, and under its OID
my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'copy'");
$node->safe_psql('postgres', 'DROP DATABASE copy');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE postgres');
$node->safe_psql('copy', "INSERT INTO events VALUES (101, 'copy')");
is(chains_of($node, 'copy', 'events'), '11 entries, 1 chains, 0 broken', 'another copy of that name');
$node->safe_psql('postgres', 'DROP DATABASE copy');
$node->safe_psql('postgres', "CREATE DATABASE copy TEMPLATE postgres OID $oid");
$node->safe_psql('copy', "INSERT INTO events VALUES (101, 'copy')");
is(chains_of($node, 'copy', 'events'), '11 entries, 1 chains, 0 broken', 'another copy with that OID');

done_testing();
