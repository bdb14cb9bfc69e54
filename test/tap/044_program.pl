# The companion program with a database: `verify --dsn`, `export` and `log`, of logs that are intact,
# tampered with, partitioned, archived, hostile to terminals, or not to be had; on a standby as well.

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
	IPC::Run::run([ 'python3', '-c', $pty, $program, @arguments ], '<', '/dev/null', '>', \my $shown, '2>', \my $errors);
	die "nothing came to the terminal: $errors" if $shown eq '';
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
for my $command ('verify', 'export', 'log')
{
	like(program($command, @auditor, '--log', 'hidden'), qr/^2\|\|.*row-level security/, "$command: rows are hidden");
}
sql(q{REVOKE SELECT ON hidden FROM auditor});

# export: what the function returns, in every format.
for my $arguments (
	[], [ since => '2026-05-02' ],
	[ since => '2026-05-01 12:00+02', until => '2026-05-02' ],
	[ filter => 'actor=user3', filter => 'action=act1' ])
{
	my %given = (since => '', until => '', filter => '{}');
	my @options;
	for (my $i = 0; $i < @$arguments; $i += 2)
	{
		my ($name, $value) = @$arguments[ $i, $i + 1 ];
		$given{$name} = $name eq 'filter' ? '{"actor": "user3", "action": "act1"}' : $value;
		push @options, "--$name", $value;
	}
	for my $format ('jsonl', 'json', 'csv', 'soc2')
	{
		my $expected = sql(qq{SELECT auditchain.export('events', '$format', nullif('$given{since}', '')::timestamptz,
			nullif('$given{until}', '')::timestamptz, '$given{filter}')});
		program('export', @auditor, '--log', 'events', '--format', $format, @options);
		my $changing = qr/"(?:exportedAt|date|verifiedAt)":\s*"[^"]*"/;
		is($stdout =~ s/$changing//gr, "$expected\n" =~ s/$changing//gr, "export: $format @options");
		is("$status$stderr", '0', 'quietly');
	}
}
program('export', @auditor, '--log', 'events');
is(scalar(() = $stdout =~ /^\{.*\}$/mg), 3000, 'an event a line by default');
is(program('export', @auditor, '--log', 'events', '--format', 'csv', '--output', "$dir/events.csv"), '0||', 'to a file');
is(slurp_file("$dir/events.csv"), sql(q{SELECT auditchain.export('events', 'csv')}) . "\n", 'which has all of it');
is((stat "$dir/events.csv")[2] & 0777, 0600, 'for its owner only');
my $before = slurp_file("$dir/events.csv");
for my $case (
	[ [ @auditor, '--log', 'events', '--format', 'xls' ], qr/"xls" is no format/ ],
	[ [ @auditor, '--log', 'events', '--since', 'some day' ], qr/invalid input syntax for type timestamp/ ],
	[ [ @auditor, '--log', 'events', '--filter', 'nothing=1' ], qr/has no column "nothing"/ ],
	[ [ @auditor, '--log', 'events', '--filter', 'actor' ], qr/--filter takes column=value, and not actor/ ],
	[ [ @auditor, '--log', 'events', '--filter', 'id=1', '--filter', 'id=2' ], qr/names the column id twice/ ],
	[ [ @auditor, '--log', 'secret' ], qr/permission denied/ ],
	[ [ '--dsn', "$dsn dbname=template1", '--log', 'x' ], qr/no extension auditchain/ ],
	[ [ @auditor ], qr/--log is required/ ])
{
	my ($arguments, $message) = @$case;
	program('export', @$arguments, '--output', "$dir/events.csv");
	is("$status$stdout", '2', "export @$arguments: unusable");
	like($stderr, $message, 'and why');
}
is(slurp_file("$dir/events.csv"), $before, 'the file is as it was');
ok(!-e "$dir/events.csv.partial", 'and nothing is left behind');
like((program('export', @auditor, '--log', 'events', '--output', '/nowhere/x'), $stderr)[1],
	qr/cannot create/, 'no such directory');
IPC::Run::run([ $program, 'export', @auditor, '--log', 'events' ], '<', '/dev/null', '>', '/dev/full', '2>', \$stderr);
is(($? >> 8) . $stderr, "2auditchain: cannot write standard output\n", 'a full disk is told');

# log: newest first.
is(program('log', @auditor, '--log', 'events', '--limit', 2), join("\n",
	'0|2026-05-03T02:00:00.000000Z  user4  act0  ["té\"nant 0"]/0 200  '
	. sql(q{SELECT left(encode(checksum, 'hex'), 12) FROM events WHERE id = 3000}),
	'    id=3000 teamId="té\"nant 0" note="line\n3000" amount=3000.10',
	'2026-05-03T01:59:00.000000Z  user3  act1  ["té\"nant 2"]/0 1000  '
	. sql(q{SELECT left(encode(checksum, 'hex'), 12) FROM events WHERE id = 2999}),
	'    id=2999 teamId="té\"nant 2" note="line\n2999" amount=2999.10', '|'), 'log: for people');

# The ids in the order that they are shown in.
sub ids
{
	my (@arguments) = @_;
	program('log', '--json', @auditor, '--log', 'events', @arguments);
	is($stderr, '', "log @arguments");
	return join ' ', map { decode_json($_)->{id} } split /\n/, $stdout;
}
is(ids(), join(' ', reverse 2981 .. 3000), 'twenty by default');
is(ids('--limit', 5000), join(' ', reverse 1 .. 3000), 'all, in several pieces');
is(ids('--limit', 1) . $stdout, '3000'
	. sql(q{SELECT auditchain.export('events', 'jsonl', filter => '{"id": 3000}')}) . "\n", 'the event as exported');
is(ids('--since', '2026-05-03 01:59Z'), '3000 2999', 'since');
is(ids('--until', '2026-05-01 02:03+02'), '2 1', 'until, in a time zone');
{
	local $ENV{PGTZ} = 'Europe/Berlin';
	is(ids('--until', '2026-05-01 02:03'), '2 1', 'or in that of the user');
	local $ENV{PGDATESTYLE} = 'SQL, DMY';
	is(ids('--until', '01/05/2026 02:03'), '2 1', 'and the form of dates');
}
is(ids('--filter', 'actor=user3', '--filter', 'action=act1', '--limit', 2), '2999 2985', 'filters');
is(ids('--filter', 'amount=7.1'), '7', 'equality is that of the type');
is(ids('--filter', 'actor=nobody'), '', 'none');
is(ids('--chain', '["té\"nant 1"]/0', '--limit', 2), '2998 2995', 'a chain');
is(ids('--filter', 'chain_id=1', '--filter', 'chain_position=1'),
	sql('SELECT id FROM events WHERE chain_id = 1 AND chain_position = 1'), 'a place');
is(ids('--filter', q{actor=x' OR true --}), '', 'a value is a value');
for my $case (
	[ [ 'events', '--chain', '["té"]/0' ], qr/public\.events has no entry in a chain \["té"\]\/0/ ],
	[ [ 'events', '--filter', 'nothing=1' ], qr/public\.events has no column nothing/ ],
	[ [ 'events', '--filter', 'xmin=1' ], qr/public\.events has no column xmin/ ],
	[ [ 'events', '--filter', 'id=one' ], qr/invalid input syntax for type integer: "one"/ ],
	[ [ 'events', '--limit', '0' ], qr/--limit/ ],
	[ [ 'events', '--since', 'some day' ], qr/invalid input syntax/ ],
	[ ['plain'], qr/public\.plain is no log, or may not be read/ ],
	[ ['secret'], qr/public\.secret is no log, or may not be read/ ],
	[ ['nothing'], qr/does not exist/ ])
{
	my ($arguments, $message) = @$case;
	program('log', @auditor, '--log', @$arguments);
	is("$status$stdout", '2', "log @$arguments: unusable");
	like($stderr, $message, 'and why');
}

# An index on the time column is all that is read of a log.
my $reads = q{
	SELECT idx_tup_read, seq_tup_read FROM pg_stat_user_indexes JOIN pg_stat_user_tables USING (relid)
	WHERE indexrelname = 'events_occurred_at_idx'};
sql('ANALYZE events');
my ($by_index, $in_order) = split /\|/, sql("SELECT pg_stat_force_next_flush(); $reads") =~ s/^\s+//r;
ids('--limit', 3);
ok($node->poll_query_until('postgres', "SELECT idx_tup_read > $by_index FROM ($reads) AS r"), 'the index is used');
my ($by_index_now, $in_order_now) = split /\|/, sql($reads);
cmp_ok($by_index_now - $by_index, '<', 20, 'for what is shown');
is($in_order_now, $in_order, 'and no more is read');

# Partitions, a date as the time, and an entry without one, which comes last.
sub paths
{
	my (@arguments) = @_;
	program('log', @auditor, '--log', 'requests', @arguments);
	return join ' ', $status, $stdout =~ /path=(\S+)/g, $stderr;
}
is(paths(), '0 /new /old /none ', 'partitions');
is(paths('--until', '2026-01-01Z'), '0 /old ', 'a date is UTC');
is(paths('--filter', 'at=2026-01-01'), '0 /new ', 'by date');
is(paths('--limit', 2), '0 /new /old ', 'limit');
like($stdout, qr/^2026-01-01  -  -  \[\]\/0 1  [0-9a-f]{12}\n    code=200 path=\/new\n/, 'nobody did nothing');

# No time column: chain by chain. Types whose equality is not PostgreSQL's own, domains.
sql(
	q{
	CREATE DOMAIN code AS int;
	CREATE DOMAIN small_code AS code;
	CREATE TABLE steps (step small_code, "the ""name""" text, flag boolean);
	SELECT auditchain.protect('steps', lanes => 1);
	INSERT INTO steps VALUES (1, 'a', true), (2, 'b', false), (3, 'c', true);
	GRANT SELECT ON steps TO auditor});
program('log', @auditor, '--log', 'steps');
is(join(' ', $stdout =~ /step=(\d)/g), '3 2 1', 'without a time column');
program('log', @auditor, '--log', 'steps', '--filter', 'the "name"=b');
like($stdout, qr/^-  -  -  \[\]\/0 2  \w+\n    flag=false step=2 "the \\"name\\""=b\n\z/, 'a column of any name');
program('log', @auditor, '--log', 'steps', '--filter', 'step=3', '--filter', 'flag=yes');
like($stdout, qr/step=3/, 'domains');
like(program('log', @auditor, '--log', 'steps', '--since', '2026-01-01'),
	qr/^2\|\|.*no time column that --since and --until could refer to/, 'no period without a time column');

# What an entry has does not reach a terminal as it is: escape sequences, line breaks, directions.
sql(
	q{
	CREATE TABLE hostile (id text PRIMARY KEY, at timestamptz, actor text, "x
y" text, doc json);
	SELECT auditchain.protect('hostile', lanes => 1);
	INSERT INTO hostile VALUES
		(E'\x1b]0;owned\x07\u009b', '2026-01-01Z', E'\x1b[2J\nroot', E'\u009b31m \u202egnp.exe', '{"n": 1.10, "t": "\u001b[0m"}'),
		('2', '2026-01-02Z', 'al ice', '', '[12345678901234567890.10, {"chain":"[]/9","chainPosition":1}, "\ud800"]'),
		('3', '2026-01-03Z', 'null', '=', '{"z": [], "a": {}, "n": null, "b": [true, {"c": "d e"}]}');
	GRANT SELECT ON hostile TO auditor});
my $shown = on_terminal('log', @auditor, '--log', 'hostile');
unlike($shown, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]/, 'no control character');
like($shown, qr/^2026-01-03T00:00:00\.000000Z  null  -  \[\]\/0 3  \w+\n    id=3 doc=\{"z":\[\],"a":\{\},"n":null,"b":\[true,\{"c":"d e"\}\]\} "x\\ny"="="\n/,
	'JSON within');
like($shown, qr/^2026-01-01T00:00:00\.000000Z  "\\u001b\[2J\\nroot"  -  \[\]\/0 1  \w+\n    id="\\u001b\]0;owned\\u0007\\u009b" doc=\{"n":1\.10,"t":"\\u001b\[0m"\} "x\\ny"="\\u009b31m \\u202egnp\.exe"\n\z/m,
	'all of it is shown');
like($shown, qr/^\{"id":"2","timestamp":.*12345678901234567890\.10.*\\ud800.*\n/m, 'what is no JSON to others is shown as it is');
for my $arguments ([ 'log', '--json' ], ['export'], [ 'export', '--format', 'csv' ])
{
	unlike(on_terminal(@$arguments, @auditor, '--log', 'hostile'),
		qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]/, "@$arguments: none to a terminal");
}
like(program('log', '--json', @auditor, '--log', 'hostile'), qr/\xc2\x9b31m/, 'but all to a pipe');
program('log', '--json', @auditor, '--log', 'hostile', '--chain', '[]/0');
is(scalar(() = $stdout =~ /\n/g), 3, 'the chain of an entry is not what a column says');
like(program('log', @auditor, '--log', 'hostile', '--chain', '[]/9'), qr/no entry in a chain/, 'nor is there another');

# Tampered with: each violation, and the exit code.
sql(
	q{
	ALTER TABLE events DISABLE TRIGGER ALL;
	UPDATE events SET amount = 0 WHERE id = 30;
	DELETE FROM events WHERE id = 300;
	ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement;
	ALTER TABLE hostile DISABLE TRIGGER ALL;
	UPDATE hostile SET actor = 'alice' WHERE id = E'\x1b]0;owned\x07\u009b';
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
unlike(on_terminal('verify', '--json', @auditor, '--log', 'hostile'), qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/, 'nor in JSON');
like(program('verify', @auditor, '--log', 'hostile'), qr/entry id = .*owned\\u0007/, 'which is shown');
is((program('verify', @auditor, '--log', 'events', '--log', 'nothing'), $status)[1], 2, 'the worst counts');

# Two entries at one place are both shown, once each.
sql(
	q{
	CREATE TABLE twice (id int, at timestamptz);
	SELECT auditchain.protect('twice', lanes => 1);
	INSERT INTO twice VALUES (1, '2026-01-01Z'), (2, '2026-01-02Z'), (3, '2026-01-03Z');
	ALTER TABLE twice DISABLE TRIGGER ALL;
	ALTER TABLE twice DROP CONSTRAINT twice_chain_id_chain_position_key;
	INSERT INTO twice SELECT 4, at, chain_id, chain_position, previous_checksum, checksum FROM twice WHERE id = 2;
	INSERT INTO twice SELECT 5, '2026-01-04Z', chain_id, chain_position, previous_checksum, checksum FROM twice WHERE id = 2;
	ALTER TABLE twice ALTER chain_id DROP NOT NULL, ALTER chain_position DROP NOT NULL;
	INSERT INTO twice SELECT 6, at, NULL, NULL, previous_checksum, checksum FROM twice WHERE id = 2;
	INSERT INTO twice SELECT 7, at, 1, NULL, previous_checksum, checksum FROM twice WHERE id = 2;
	INSERT INTO twice SELECT 8, '2026-01-05Z', 999, 1, previous_checksum, checksum FROM twice WHERE id = 2;
	GRANT SELECT ON twice TO auditor});
program('log', @auditor, '--log', 'twice');
is($stderr . join(' ', sort $stdout =~ /id=(\d)/g), '1 2 3 4 5 8', 'two at one place');
like($stdout, qr/^2026-01-05T00:00:00\.000000Z  -  -  chain_id 999 1  /, 'an entry of a chain that is none');
is((program('verify', @auditor, '--log', 'twice'), $status)[1], 1, 'which is a violation');

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
sql(q{SELECT auditchain.release('steps', 'over')});
like(program('verify', @auditor, '--log', 'steps'), qr/^0\|public\.steps: All 3 audit events verified/, 'a released log');
sql(q{INSERT INTO steps VALUES (9)});
program('log', @auditor, '--log', 'steps');
is(join(' ', $stdout =~ /step=(\d)/g), '3 2 1', 'what came after its release is no entry');

# The owner's code does not run as who looks at a released log.
sql(
	q{
	CREATE TYPE trap AS (n int);
	CREATE FUNCTION spring(trap) RETURNS json LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''sprung''; END';
	CREATE CAST (trap AS json) WITH FUNCTION spring(trap);
	ALTER TABLE steps ALTER COLUMN chain_id DROP NOT NULL, ALTER COLUMN chain_id TYPE trap USING ROW(chain_id)::trap});
like(program('log', @auditor, '--log', 'steps'), qr/^2\|\|auditchain: public\.steps has lost the columns of its chains/,
	'columns of other types are refused');

# A program that is gone has its statement given up.
{
	my $lock = $node->background_psql('postgres');
	$lock->query_safe('BEGIN; LOCK TABLE requests');
	my $run = IPC::Run::start([ $program, 'verify', @auditor, '--log', 'requests' ], '>', '/dev/null', '2>', '/dev/null');
	my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'auditor'};
	ok($node->poll_query_until('postgres', "$waiting AND wait_event_type = 'Lock'", '1'), 'it waits');
	# Not INT, which a shell has its background jobs ignore.
	$run->signal('TERM');
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
program('log', @standby, 'requests');
is(join(' ', $stdout =~ /path=(\S+)/g), '/new /old /none', 'log on a standby');
program('export', @standby, 'requests');
is($stdout, sql(q{SELECT auditchain.export('requests', 'jsonl')}) . "\n", 'export on a standby');
$standby->stop;
$node->stop;

# Every option is in the manual, the documentation and the completion.
my %texts = map { $_ => slurp_file("$top/$_") } 'man/auditchain.1', 'docs/program.md', 'completion/auditchain';
$texts{'man/auditchain.1'} =~ s/\\-/-/g;
for my $command (qw(verify export log bundle keygen receipts witness))
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
