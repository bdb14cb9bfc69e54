# The companion program with a database: `verify --dsn`, of logs that are intact, tampered with, archived,
# hostile to terminals, or not to be had; on a standby as well.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Cwd qw(abs_path);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $top = abs_path("$FindBin::RealBin/../..");
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($status, $stdout, $stderr);

# Exit code, standard output and standard error, also in $status, $stdout and $stderr.
sub program
{
	my (@arguments) = @_;
	IPC::Run::run([ $program, @arguments ], '<', '/dev/null', '>', \$stdout, '2>', \$stderr);
	$status = $? >> 8;
	return "$status|$stdout|$stderr";
}

# What the program writes to a terminal.
sub on_terminal
{
	my (@arguments) = @_;
	my $pty = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
	IPC::Run::run([ 'python3', '-c', $pty, $program, @arguments ], '<', '/dev/null', '>', \my $shown);
	return $shown =~ s/\r\n/\n/gr;
}

my $node = new_node('primary', allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0
timezone = 'UTC'
});
$node->start;
my $dsn = $node->connstr('postgres');
my @auditor = ('--dsn', "$dsn user=auditor");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# Three tenants; each entry has a time of its own, and they are not inserted in that order.
sql(
	q{
	CREATE EXTENSION auditchain;
	CREATE ROLE auditor LOGIN;
	CREATE TABLE events (
		id int PRIMARY KEY, tenant text, occurred_at timestamptz NOT NULL, actor text, action text,
		amount numeric, details jsonb);
	CREATE INDEX ON events (occurred_at);
	SELECT auditchain.protect('events', chain_by => '{tenant}', lanes => 1);
	INSERT INTO events
	SELECT n, 'té"nant ' || n % 3, timestamptz '2026-05-01 00:00Z' + n * interval '1 minute',
		'user' || n % 7, 'act' || n % 2, n + 0.10, jsonb_build_object('note', 'line' || E'\n' || n)
	FROM generate_series(1, 3000) n ORDER BY n % 5, n;
	CALL auditchain.checkpoint('events');
	CREATE TABLE requests (at date, path text, code int) PARTITION BY RANGE (at);
	CREATE TABLE requests_2025 PARTITION OF requests FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
	CREATE TABLE requests_2026 PARTITION OF requests FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE TABLE requests_none PARTITION OF requests DEFAULT;
	SELECT auditchain.protect('requests', lanes => 1);
	INSERT INTO requests VALUES ('2026-01-01', '/new', 200), ('2025-12-31', '/old', 404), (NULL, '/none', 500);
	CREATE TABLE secret (id int);
	SELECT auditchain.protect('secret');
	CREATE TABLE plain (id int);
	GRANT SELECT ON events, requests, plain TO auditor;
});

# verify: all logs that the role can read, or those that are named.
is(program('verify', @auditor), join("\n",
	'0|public.events: All 3000 audit events verified. Chain integrity intact. 3000 of them sealed by 1 checkpoint.',
	'public.requests: All 3 audit events verified. Chain integrity intact.', '|'), 'all logs are intact');
is(program('verify', @auditor, '--log', 'requests'),
	"0|public.requests: All 3 audit events verified. Chain integrity intact.\n|", 'one of them');
{
	local @ENV{qw(PGHOST PGPORT PGUSER)} = ($node->host, $node->port, 'auditor');
	like(program('verify', '--dsn', '', '--log', 'requests'), qr/^0\|public\.requests: /, 'wherever psql would look');
}
is(sql(q{SELECT verified_by, verified_intact FROM auditchain.logs WHERE log = 'requests'::regclass}),
	'auditor|t', 'that is recorded');
program('verify', '--json', @auditor, '--log', 'public.requests', '--log', 'events');
my @reports = map { decode_json($_) } split /\n/, $stdout;
is(join(' ', map { $_->{log} } @reports), 'public.requests public.events', 'JSON: a line each');
my $report = $reports[1];
is_deeply(
	[ @$report{qw(intact entries verified_entries chains checkpoints tree_size violations)} ],
	[ JSON::PP::true, 3000, 3000, 3, 1, 3000, [] ], 'and what is to be said');
is($report->{log_id}, sql(q{SELECT log_id FROM auditchain.logs WHERE log = 'events'::regclass}), 'of which log');
like($report->{sealed_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'sealed when');
is($reports[0]{sealed_at}, undef, 'or not at all');

# What cannot be verified.
for my $case (
	[ [ @auditor, '--log', 'nothing' ], qr/^nothing: cannot be verified: ERROR:  relation "nothing" does not exist/ ],
	[ [ @auditor, '--log', 'plain' ], qr/cannot be verified: ERROR:  "plain" is not a log/ ],
	[ [ @auditor, '--log', 'secret' ], qr/cannot be verified: ERROR:  permission denied for table secret/ ],
	[ [ '--dsn', "$dsn dbname=template1" ], qr/^auditchain: the database has no extension auditchain/ ],
	[ [ '--dsn', "$dsn dbname=template1", '--log', 'x' ], qr/^x: cannot be verified: the database has no extension/ ],
	[ [ '--dsn', 'host=/nowhere' ], qr/No such file or directory/ ],
	[ [ '--dsn', "$dsn user=nobody" ], qr/role "nobody" does not exist/ ],
	[ [ '--dsn', 'what is this' ], qr/missing "=" after "what"/ ],
	[ [ '--log', 'events' ], qr/--log requires --dsn/ ],
	[ [ '--archives' ], qr/--archives requires --dsn/ ],
	[ [ @auditor, '--key', 'x' ], qr/excludes --/ ],
	[ [ @auditor, 'bundle.tar' ], qr/give bundles, or a database with --dsn, and not both/ ],
	[ [], qr/give a bundle, or a database with --dsn/ ])
{
	my ($arguments, $message) = @$case;
	program('verify', @$arguments);
	is("$status$stdout", '2', "verify @$arguments: unusable");
	like($stderr, $message, 'and why');
}
is(program('verify', @auditor, '--log', 'nothing', '--log', 'requests') =~ s/: cannot.*//sr,
	"2|public.requests: All 3 audit events verified. Chain integrity intact.\n|nothing", 'the others are verified');
program('verify', '--json', @auditor, '--log', 'nothing');
is($status, 2, 'unusable in JSON');
$report = decode_json($stdout);
is_deeply([ @$report{qw(log intact)} ], [ 'nothing', undef ], 'says so');
like($report->{error}, qr/does not exist/, 'and why');
sql('CREATE DATABASE empty');
$node->safe_psql('empty', 'CREATE EXTENSION auditchain');
like(program('verify', '--dsn', "$dsn dbname=empty"), qr/^2\|\|auditchain: .* no log that this role can read/,
	'nothing to verify is no good news');

# Row-level security: an error, and not half an answer.
sql(
	q{
	CREATE TABLE hidden (id int, at timestamptz);
	SELECT auditchain.protect('hidden');
	INSERT INTO hidden VALUES (1, now()), (2, now());
	ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
	CREATE POLICY one ON hidden USING (id = 1);
	GRANT SELECT ON hidden TO auditor});
for my $command ('verify')
{
	like(program($command, @auditor, '--log', 'hidden'), qr/^2\|\|.*row-level security/, "$command: rows are hidden");
}
sql(q{REVOKE SELECT ON hidden FROM auditor});

# An entry that is hostile to terminals.
sql(
	q{
	CREATE TABLE hostile (id text PRIMARY KEY, at timestamptz, actor text, "x
y" text, doc json);
	SELECT auditchain.protect('hostile', lanes => 1);
	INSERT INTO hostile VALUES
		(E'\x1b]0;owned\x07', '2026-01-01Z', E'\x1b[2J\nroot', E'\u009b31m \u202egnp.exe', '{"n": 1.10, "t": "\u001b[0m"}'),
		('2', '2026-01-02Z', 'al ice', '', '[12345678901234567890.10, {"chain":"[]/9","chainPosition":1}, "\ud800"]'),
		('3', '2026-01-03Z', 'null', '=', '{"z": [], "a": {}, "n": null, "b": [true, {"c": "d e"}]}');
	GRANT SELECT ON hostile TO auditor});

# Tampered with: each violation, and the exit code.
sql(
	q{
	ALTER TABLE events DISABLE TRIGGER ALL;
	UPDATE events SET amount = 0 WHERE id = 30;
	DELETE FROM events WHERE id = 300;
	ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
	ALTER TABLE hostile DISABLE TRIGGER ALL;
	UPDATE hostile SET actor = 'alice' WHERE id = E'\x1b]0;owned\x07';
	ALTER TABLE hostile ENABLE ALWAYS TRIGGER zz_auditchain_chain;
	ALTER TABLE hostile ENABLE ALWAYS TRIGGER auditchain_guard_row;
	ALTER TABLE hostile ENABLE ALWAYS TRIGGER auditchain_guard_statement});
my @places = split /\n/, sql(
	q{SELECT kind, coalesce(chain, ''), coalesce("position", 0), detail FROM auditchain.violations('events')});
is(scalar(@places), 3, 'three violations');
program('verify', @auditor, '--log', 'events', '--log', 'requests');
is($status, 1, 'tampered with');
is($stderr, join('', map {
		my ($kind, $chain, $position, $detail) = split /\|/;
		"public.events: VIOLATION $kind" . ($chain ? " in chain $chain at position $position" : '') . ": $detail\n"
	} @places), 'each is told');
is($stdout, "public.events: 3 violations in 2999 audit events.\n"
	. "public.requests: All 3 audit events verified. Chain integrity intact.\n", 'and how many');
program('verify', '--json', @auditor, '--log', 'events');
is($status, 1, 'in JSON');
$report = decode_json($stdout);
is(join("\n", map { join '|', $_->{kind}, $_->{chain} // '', $_->{position} // 0, $_->{detail} } @{ $report->{violations} }),
	join("\n", map { utf8::decode(my $place = $_); $place } @places), 'each with its members');
ok(!$report->{intact}, 'not intact');
is($report->{entries} - $report->{verified_entries}, 1, 'how many are verified');
sql('REVOKE EXECUTE ON FUNCTION auditchain.violations FROM PUBLIC');
like(program('verify', @auditor, '--log', 'events'),
	qr/^1\|public\.events: Chain integrity violated: .*\|public\.events: violations cannot be listed: ERROR:  permission denied/s,
	'what was found is told when it cannot be listed');
program('verify', '--json', @auditor, '--log', 'events');
$report = decode_json($stdout);
is_deeply([ @$report{qw(intact violations)} ], [ JSON::PP::false, undef ], 'in JSON, too');
sql('GRANT EXECUTE ON FUNCTION auditchain.violations TO PUBLIC');
unlike(on_terminal('verify', @auditor, '--log', 'hostile'), qr/\e\]/, 'no escape sequence in a detail');
like(program('verify', @auditor, '--log', 'hostile'), qr/entry id = .*owned\\u0007/, 'which is shown');
is((program('verify', @auditor, '--log', 'events', '--log', 'nothing'), $status)[1], 2, 'the worst counts');

# Archives, intact and tampered with, and a released log.
sql(
	q{
	CREATE SCHEMA cold;
	CREATE TABLE visits (id serial PRIMARY KEY, occurred_at timestamptz NOT NULL);
	SELECT auditchain.protect('visits', lanes => 1);
	INSERT INTO visits (occurred_at) SELECT now() - interval '200 days' + n * interval '1 hour' FROM generate_series(1, 3000) n;
	CALL auditchain.checkpoint('visits');
	SELECT auditchain.set_retention('visits', destination => 'schema:cold');
	SELECT auditchain.archive('visits', now() - interval '150 days');
	SELECT auditchain.archive('visits', now() - interval '100 days');
	GRANT SELECT ON visits TO auditor});
my @visits = ('verify', @auditor, '--log', 'visits');
like(program(@visits), qr/^0\|public\.visits: All 3000 audit events verified, \d+ of them archived/, 'with archives');
like(program(@visits, '--archives'), qr/^2\|public\.visits: All 3000 .*\|public\.visits, archive 1: cannot be verified: ERROR:  permission denied for table visits/s,
	'archives need rights of their own');
program(@visits, '--archives', '--json');
$report = decode_json($stdout);
is_deeply([ $report->{intact}, $report->{archives}[1]{intact} ], [ JSON::PP::true, undef ], 'in JSON');
like($report->{archives}[1]{error}, qr/permission denied/, 'with the reason');
sql('GRANT USAGE ON SCHEMA cold TO auditor; GRANT SELECT ON ALL TABLES IN SCHEMA cold TO auditor');
program(@visits, '--archives');
is("$status$stderr", '0', 'intact');
like($stdout, qr/\npublic\.visits, archive 1: All \d+ archived events verified\. .*\npublic\.visits, archive 2: All/, 'each');
sql(
	q{
	ALTER TABLE cold.visits DISABLE TRIGGER ALL;
	UPDATE cold.visits SET occurred_at = occurred_at + interval '1 second' WHERE id = 5;
	ALTER TABLE cold.visits ENABLE ALWAYS TRIGGER auditchain_guard_row;
	ALTER TABLE cold.visits ENABLE ALWAYS TRIGGER auditchain_guard_statement});
program(@visits, '--archives');
is($status, 1, 'an archive was tampered with');
like($stderr, qr/^public\.visits, archive 1: .*content_modified/m, 'which one');
program(@visits, '--archives', '--json');
$report = decode_json($stdout);
ok($report->{intact}, 'not the log');
is(join(' ', map { "$_->{archive} " . ($_->{intact} ? 'intact' : 'not') } @{ $report->{archives} }), '1 not 2 intact', 'which one');
is((program(@visits), $status)[1], 0, 'what is in the log is intact');

# A program that is gone has its statement given up.
{
	my $lock = $node->background_psql('postgres');
	$lock->query_safe('BEGIN; LOCK TABLE requests');
	my $run = IPC::Run::start([ $program, 'verify', @auditor, '--log', 'requests' ], '>', '/dev/null', '2>', '/dev/null');
	my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'auditor'};
	ok($node->poll_query_until('postgres', "$waiting AND wait_event_type = 'Lock'", '1'), 'it waits');
	$run->signal('INT');
	$run->finish;
	ok($node->poll_query_until('postgres', $waiting, '0'), 'interrupted, it is gone from the server');
	$lock->quit;
}

# A standby.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my @standby = ('--dsn', $standby->connstr('postgres') . ' user=auditor', '--log');
is(program('verify', @standby, 'requests'),
	"0|public.requests: All 3 audit events verified. Chain integrity intact.\n|", 'verify on a standby');
is((program('verify', @standby, 'events'), $status)[1], 1, 'where violations are found, too');
$standby->stop;
$node->stop;

# Every option is in the manual, the documentation and the completion.
my %texts = map { $_ => slurp_file("$top/$_") } 'man/auditchain.1', 'docs/program.md', 'completion/auditchain';
$texts{'man/auditchain.1'} =~ s/\\-/-/g;
for my $command (qw(verify bundle keygen receipts witness))
{
	program($command, '--help');
	is($status, 0, "$command --help");
	for my $option (sort keys %{ { map { $_ => 1 } $stdout =~ /^\s+(--[a-z-]+)/mg } })
	{
		like($texts{$_}, qr/\Q$option\E\b/, "$option of $command is in $_") for sort keys %texts;
	}
	my ($words) = $texts{'completion/auditchain'} =~ /^ +$command\) words='(.*)'/m;
	my @missing = grep { $words !~ /(?:^| )\Q$_\E(?: |$)/ } $stdout =~ /^\s+(--[a-z-]+)/mg;
	is("@missing", '', "all options of $command are completed");
}

done_testing();
