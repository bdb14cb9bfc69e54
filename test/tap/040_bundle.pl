# Bundles: a real log proved without its database, by the program and by the script that shares no code
# with it; tampered with, encrypted, from a standby.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Cwd qw(abs_path);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $script = abs_path("$FindBin::RealBin/../../tools/verify_bundle.py");
my $dir = PostgreSQL::Test::Utils::tempdir();

sub outcome_of
{
	my (@command) = @_;
	IPC::Run::run(\@command, '<', '/dev/null', '>', \my $stdout, '2>', \my $stderr);
	return ($? >> 8, $stdout, $stderr);
}

# Exit code and violations, by the program and by the script.
sub verdict
{
	my ($bundle, @options) = @_;
	my ($status, $stdout, $stderr) = outcome_of($program, 'verify', @options, $bundle);
	note($stderr) if $stderr ne q{};
	my @kinds = $stderr =~ /VIOLATION (\w+)(?: in chain (\S+) at position (\d+))?/g;
	return join ' ', $status, grep { defined } @kinds;
}

sub script_verdict
{
	my ($bundle, @options) = @_;
	my ($status, $stdout, $stderr) = outcome_of('python3', $script, @options, $bundle);
	note($stderr) if $stderr ne q{};
	my @kinds = $stderr =~ /VIOLATION (\w+)(?: in chain (\S+) at position (\d+))?/g;
	return join ' ', $status, grep { defined } @kinds;
}

sub both_say
{
	my ($bundle, $expected, $name, @options) = @_;
	is(verdict($bundle, @options), $expected, "$name: the program");
	is(script_verdict($bundle, @options), $expected, "$name: the script");
	return;
}

outcome_of($program, 'keygen', 'signing', "$dir/signing.pem");
outcome_of($program, 'keygen', 'receipt', "$dir/receipt.key");
is((outcome_of($program, 'keygen', 'archive', "$dir/archive.key"))[1],
	"auditchain.archive_key_file = '$dir/archive.key'\n", 'keygen archive');

my $node = new_node('primary', allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.signing_key_file = '$dir/signing.pem'
auditchain.receipt_key_file = '$dir/receipt.key'
auditchain.archive_key_file = '$dir/archive.key'
auditchain.checkpoint_interval = 0
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id serial PRIMARY KEY, tenant text, occurred_at timestamptz, note text);
	SELECT auditchain.protect('events', chain_by => '{tenant}', receipts => true);
	CREATE ROLE auditor LOGIN;
	GRANT SELECT ON events TO auditor;
});

# Three tenants, twenty days, sealed each day: so chains alternate in the tree.
for my $day (1 .. 20)
{
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO events (tenant, occurred_at, note)
		SELECT 'té"nant ' || n % 3, timestamptz '2026-05-01 00:00Z' + interval '$day days' + n * interval '1 second',
			E'line\\n"' || n || repeat(' x', n % 50)
		FROM generate_series(1, 300) n;
		CALL auditchain.checkpoint('events')});
}
my $key = $node->safe_psql('postgres', q{SELECT auditchain.verifier_key('events')});

# Lines of hex as the bytes of a file.
sub save_hex
{
	my ($file, $hex) = @_;
	open my $handle, '>:raw', $file or die "$file: $!";
	print $handle pack('H*', s/^\\x//r) for split /\n/, $hex;
	close $handle;
	return;
}

sub save_bundle
{
	my ($server, $file, @arguments) = @_;
	return save_hex($file,
		$server->safe_psql('postgres', "SELECT auditchain.bundle('events', " . join(', ', @arguments) . ')'));
}

# All of it.
save_bundle($node, "$dir/all.tar", 'NULL');
my ($status, $stdout, $stderr) = outcome_of($program, 'verify', '--key', $key, "$dir/all.tar");
is($status, 0, 'a whole log is intact');
like($stdout, qr/All 6000 audit events verified\. Bundle intact\.\n/, 'and says so');
like($stdout, qr/of log public\.events .*, 3 chains, which had 6000 entries sealed/, 'which log it is of');
like($stdout, qr/which is a key that you trust/, 'whose key is trusted');
is($stderr, '', 'quietly');
($status, $stdout) = outcome_of('python3', $script, '--key', $key, "$dir/all.tar");
is($status, 0, 'the script finds it intact');
like($stdout, qr/All 6000 audit events verified/, 'and says so');
($status, $stdout) = outcome_of($program, 'verify', '--json', "$dir/all.tar");
like($stdout, qr/^\{"bundle":.*"entries":6000,.*"intact":true,.*"signer_trusted":false.*"violations":\[\]\}\n\z/,
	'as JSON');
($status, $stdout) = outcome_of('bash', '-c', "cat $dir/all.tar | $program verify -");
is($status, 0, 'from standard input');

# Plain tools look inside.
mkdir "$dir/open";
is(system("tar -xf $dir/all.tar -C $dir/open"), 0, 'tar extracts it');
($status, $stdout) = outcome_of('bash', '-c',
	"cd $dir/open && zstd -dc entries/*.zst | sed -n 1p | "
	. q{python3 -c 'import json,sys; e = json.load(sys.stdin); print(e["checksum"]); print(e["previous_checksum"], e["payload"], sep="", end="", file=sys.stderr)' 2>content && sha256sum <content});
my ($promised, $computed) = $stdout =~ /^([0-9a-f]{64})\n([0-9a-f]{64})/;
is($computed, $promised, 'sha256sum finds the checksum of the first entry');
my $listed = $node->safe_psql('postgres',
	q{SELECT count(*) FROM events WHERE receipt IS NOT NULL});
($status, $stdout) = outcome_of('bash', '-c', "zstd -dc $dir/open/entries/*.zst | grep -c '\"receipt\":\"[0-9a-f]\\{64\\}\"'");
is($stdout, "$listed\n", 'with receipts');
($status, $stdout) = outcome_of('bash', '-c',
	"cd $dir/open && sha256sum README.txt bundle.json checkpoint.* entries/*");
my $manifest = slurp_file("$dir/open/manifest.json");
my @sums = $stdout =~ /^([0-9a-f]{64})  (\S+)$/mg;
while (my ($sum, $file) = splice @sums, 0, 2)
{
	like($manifest, qr/\{"name":"\Q$file\E","size":\d+,"sha256":"$sum"\}/, "the sum of $file is in the manifest");
}

# A period: of each chain all from its first entry to its last.
save_bundle($node, "$dir/period.tar", q{'2026-05-05Z'}, q{'2026-05-07Z'});
($status, $stdout, $stderr) = outcome_of($program, 'verify', '--key', $key, "$dir/period.tar");
is("$status$stderr", '0', 'a period is intact');
like($stdout, qr/All 600 audit events verified/, 'and has its entries only');
both_say("$dir/period.tar", '0', 'a period');
save_bundle($node, "$dir/none.tar", q{'2036-05-05Z'});
both_say("$dir/none.tar", '0', 'no entry at all');

# What is not sealed is not in it, nor what is sealed behind the back of the snapshot.
$node->safe_psql('postgres', q{INSERT INTO events (tenant, occurred_at) VALUES ('té"nant 0', '2026-06-09Z')});
save_bundle($node, "$dir/unsealed.tar", q{'2026-06-01Z'});
($status, $stdout) = outcome_of($program, 'verify', "$dir/unsealed.tar");
like($stdout, qr/All 0 audit events verified.*which had 6000 entries sealed/s, 'what is not sealed is not there');
my $connection = $node->connstr('postgres');
$node->safe_psql(
	'postgres', qq{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT FROM events LIMIT 1;
	\\! psql -XAtqd "$connection" -c "CALL auditchain.checkpoint('events')"
	COPY (SELECT encode(auditchain.bundle('events', '2026-06-01Z'), 'hex')) TO '$dir/old_snapshot.hex';
	COMMIT});
save_hex("$dir/old_snapshot.tar", slurp_file("$dir/old_snapshot.hex"));
($status, $stdout) = outcome_of($program, 'verify', "$dir/old_snapshot.tar");
like($stdout, qr/All 0 audit events verified.*which had 6000 entries sealed/s, 'nor what was sealed meanwhile');

# Partitions, names with quotes, and a server that does not speak UTF-8.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql(
	'latin', q{
	SET client_encoding = 'UTF8';
	CREATE EXTENSION auditchain;
	CREATE TABLE "log, ÄÖ" (id int, key text, at timestamptz, note text) PARTITION BY RANGE (id);
	CREATE TABLE part_1 (note text, at timestamptz, key text, id int);
	ALTER TABLE "log, ÄÖ" ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (100);
	CREATE TABLE part_2 PARTITION OF "log, ÄÖ" FOR VALUES FROM (100) TO (200);
	SELECT auditchain.protect('"log, ÄÖ"', chain_by => '{key}', order_by => '{id}');
	INSERT INTO "log, ÄÖ" SELECT n, 'ß' || n % 2, '2026-05-09Z', 'ü' FROM generate_series(1, 199) n;
	CALL auditchain.checkpoint('"log, ÄÖ"')});
($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $node->connstr('latin'), '--log',
	'"log, ÄÖ"', '--output', "$dir/latin.tar");
is("$status$stderr", '0', 'partitions in LATIN1');
like($stdout, qr/All 199 audit events verified.*of log public\."log, ÄÖ" /s, 'under its name');
both_say("$dir/latin.tar", '0', 'partitions in LATIN1');

# Not the key that is trusted, and not signed by the one it names.
outcome_of($program, 'keygen', 'signing', "$dir/other.pem");
my $other = $key;
{
	my ($name) = $key =~ /^(.*)\+[0-9a-f]{8}\+/;
	my $public = `openssl pkey -in $dir/other.pem -pubout -outform DER`;
	my $data = "\x01" . substr($public, -32);
	require Digest::SHA;
	require MIME::Base64;
	$other = sprintf '%s+%s+%s', $name, substr(Digest::SHA::sha256_hex("$name\n$data"), 0, 8),
	  MIME::Base64::encode_base64($data, '');
}
both_say("$dir/all.tar", '1 checkpoint_mismatch', 'another key', '--key', $other);

# The command, as a role that may only read.
my $dsn = $node->connstr('postgres') . ' user=auditor';
($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $dsn, '--log', 'public.events',
	'--since', '2026-05-05Z', '--until', '2026-05-07Z', '--output', "$dir/fetched.tar", '--key', $key);
is("$status$stderr", '0', 'bundle');
like($stdout, qr/fetched\.tar: All 600 audit events verified/, 'verifies what it has fetched');
both_say("$dir/fetched.tar", '0', 'what it has fetched');
ok(!-e "$dir/fetched.tar.partial", 'nothing is left behind');
($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $dsn, '--log', 'public.nothing',
	'--output', "$dir/nothing.tar");
is($status, 2, 'a log that is none');
like($stderr, qr/"public\.nothing" does not exist/, 'says so');
ok(!-e "$dir/nothing.tar" && !-e "$dir/nothing.tar.partial", 'and leaves nothing');

($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $dsn, '--log', "\e]0;title\a",
	'--output', "$dir/nothing.tar");
like($stderr, qr/relation "\\u001b\]0;title\\u0007" does not exist/, 'control characters are not written as they are');
unlike($stderr, qr/[\e\a]/, 'none of them');

# Encrypted.
($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $dsn, '--log', 'events',
	'--output', "$dir/secret.tar", '--key-file', "$dir/archive.key");
is("$status$stderr", '0', 'an encrypted bundle');
is(verdict("$dir/secret.tar"), '2', 'is unusable without its key');
is(verdict("$dir/secret.tar", '--key-file', "$dir/receipt.key"), '2', 'and with another');
is(verdict("$dir/secret.tar", '--key-file', "$dir/archive.key", '--key', $key), '0', 'intact with its own');
is(script_verdict("$dir/secret.tar"), '2', 'the script does not read it');
($status, $stdout) = outcome_of('tar', '-tf', "$dir/secret.tar");
like($stdout, qr{^entries/000001\.jsonl\.zst\.enc$}m, 'its entries are encrypted');
like(slurp_file("$dir/secret.tar"), qr/"cipher":"AES-256-GCM","key_id":"[0-9a-f]{8}"/, 'the manifest is not');

# Tampered with by somebody who knows the format: all sums are made anew.
my $forge = "$dir/forge.py";
PostgreSQL::Test::Utils::append_to_file($forge, <<'END');
import hashlib, json, subprocess, sys, tarfile
source, target, how = sys.argv[1:]
members = [(m, tarfile.open(source).extractfile(m.name).read()) for m in tarfile.open(source).getmembers()]
data = {m.name: d for m, d in members}
entries = "entries/000001.jsonl.zst"
run = lambda *c: subprocess.run(c[:-1], input=c[-1], capture_output=True, check=True).stdout
lines = run("zstd", "-dc", data[entries]).decode().split("\n")[:-1]
load = lambda n: json.loads(lines[n])
def store(n, line): lines[n] = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
head, manifest = json.loads(data["bundle.json"]), json.loads(data["manifest.json"])
def checksum(line): return hashlib.sha256((line["previous_checksum"] + line["payload"]).encode()).hexdigest()
n = 150
line = load(n)
if how == "content": line["payload"] = line["payload"].replace("line", "lime"); store(n, line)
elif how == "consistent": line["payload"] = "{}"; line["checksum"] = checksum(line); store(n, line)
elif how == "rewritten":
    last = max(i for i in range(len(lines)) if load(i)["chain"] == line["chain"])
    previous = line["previous_checksum"]
    for i in range(n, len(lines)):
        line = load(i)
        if line["chain"] == load(last)["chain"]:
            if i == n: line["payload"] = "{}"
            line["previous_checksum"] = previous; previous = line["checksum"] = checksum(line)
            store(i, line)
    for chain in manifest["chains"]:
        if chain["name"] == load(last)["chain"]: chain["parts"][-1]["checksum"] = previous
elif how == "removed":
    del lines[n]
elif how == "doubled":
    lines.insert(n, lines[n])
elif how == "readme": data["README.txt"] += b"Nothing to see here.\n"
elif how == "head": data["bundle.json"] = data["bundle.json"].replace(b"public.events", b"public.orders")
if how in ("removed", "doubled"):
    for i in range(len(lines)): line = load(i); line["leaf"] = i; store(i, line)
text = ("\n".join(lines) + "\n").encode()
data[entries] = run("zstd", "-c", f"--stream-size={len(text)}", text)
if how != "readme" and how != "head":
    for file in manifest["files"]:
        file["size"], file["sha256"] = len(data[file["name"]]), hashlib.sha256(data[file["name"]]).hexdigest()
compact = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
text = compact({k: v for k, v in manifest.items() if k not in ("chains", "files")})[:-1]
text += ',"chains":[\n' + ",\n".join(map(compact, manifest["chains"]))
data["manifest.json"] = (text + '\n],"files":[\n' + ",\n".join(map(compact, manifest["files"])) + "\n]}\n").encode()
raw = open(source, "rb").read()
out = open(target, "wb")
for member, _ in members:
    header, content = bytearray(raw[member.offset : member.offset + 512]), data[member.name]
    header[124:136] = b"%011o\0" % len(content)
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    out.write(header + content + bytes(-len(content) % 512))
out.write(bytes(1024))
out.close()
END

sub forged
{
	my ($how) = @_;
	is(system('python3', $forge, "$dir/all.tar", "$dir/$how.tar", $how), 0, "forge: $how");
	return "$dir/$how.tar";
}

both_say(forged('nothing'), '0', 'only packed anew');
for my $case (
	[ 'content', qr/^1 content_modified \S+$/ ],
	[ 'consistent', qr/^1 link_broken \S+$/ ],
	[ 'rewritten', qr/^1 checkpoint_mismatch$/ ],
	[ 'removed', qr/^1 entry_missing \S+$/ ],
	[ 'doubled', qr/^1 entry_duplicated \S+$/ ],
	[ 'readme', qr/^2$/ ],
	[ 'head', qr/^2$/ ])
{
	my ($how, $expected) = @$case;
	my $file = forged($how);
	for my $verifier ([ $program, 'verify' ], [ 'python3', $script ])
	{
		my ($exit, undef, $found) = outcome_of(@$verifier, $file);
		my @kinds = $found =~ /VIOLATION (\w+)/g;
		my ($position) = $found =~ /at position (\d+)/;
		my $verdict = join ' ', $exit, @kinds, defined $position ? $position : ();
		like($verdict, $expected, "$how: $verifier->[0] $verifier->[1]");
	}
}

# Damaged on its way.
my $bytes = slurp_file("$dir/all.tar");
for my $size (0, 511, 512, 5000, length($bytes) / 2, length($bytes) - 1, length($bytes) - 512)
{
	open my $handle, '>:raw', "$dir/cut.tar" or die $!;
	print $handle substr($bytes, 0, $size);
	close $handle;
	is(verdict("$dir/cut.tar"), '2', 'cut off at ' . int $size);
}

# A log that was tampered with gives no bundle, and says where.
$node->safe_psql(
	'postgres', q{
	SET session_replication_role = replica;
	ALTER TABLE events DISABLE TRIGGER ALL;
	UPDATE events SET note = 'never mind' WHERE id = 1000});
($status, $stdout, $stderr) = $node->psql('postgres', q{SELECT auditchain.bundle('events')});
like($stderr, qr/the tree of log "events" is damaged\n.*Position \d+ of chain .* does not match its checksum/,
	'a tampered log gives no bundle');
($status, $stdout, $stderr) = outcome_of($program, 'bundle', '--dsn', $dsn, '--log', 'events',
	'--output', "$dir/tampered.tar");
is($status, 2, 'nor does the command');
ok(!-e "$dir/tampered.tar", 'make one');
save_bundle($node, "$dir/later.tar", q{'2026-05-10Z'});
both_say("$dir/later.tar", '0', 'a period that it does not concern');

# A log with archives: what is archived is a gap in its chains, and entries on hold are beside it.
$node->safe_psql(
	'postgres', q{
	CREATE SCHEMA cold;
	CREATE TABLE visits (id serial PRIMARY KEY, occurred_at timestamptz NOT NULL, visitor text NOT NULL);
	SELECT auditchain.protect('visits', chain_by => '{visitor}');
	INSERT INTO visits (occurred_at, visitor)
	SELECT now() - interval '200 days' + n * interval '1 hour', 'v' || n % 3 FROM generate_series(1, 3000) n;
	CALL auditchain.checkpoint('visits');
	SELECT auditchain.set_retention('visits', destination => 'schema:cold');
	SELECT auditchain.hold('visits', 'a lawsuit', '{"id": 500}');
	SELECT auditchain.archive('visits', now() - interval '100 days')});
save_hex("$dir/archived.tar", $node->safe_psql('postgres', q{SELECT auditchain.bundle('visits')}));
both_say("$dir/archived.tar", '0', 'beside archives');
($status, $stdout, $stderr) = outcome_of($program, 'verify', '--json', "$dir/archived.tar");
like($stdout, qr/\b${\ $node->safe_psql('postgres', 'SELECT count(*) FROM visits')}\b/, 'what is left in the log');
is($node->safe_psql('postgres', 'SELECT count(*) < 1000 AND bool_or(id = 500) FROM visits'), 't', 'with the entry on hold');

# A standby.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
save_bundle($standby, "$dir/standby.tar", q{'2026-05-10Z'}, q{'2026-05-12Z'});
both_say("$dir/standby.tar", '0', 'of a standby', '--key', $key);
$standby->stop;

# Without its key file the server encrypts nothing.
$node->append_conf('postgresql.conf', "auditchain.archive_key_file = '$dir/missing.key'");
$node->reload;
($status, $stdout, $stderr) = $node->psql('postgres', q{SELECT auditchain.bundle('events', encrypt => true)});
like($stderr, qr/the server has no archive key\nDETAIL:  File ".*missing\.key": No such file/, 'no archive key');
$node->stop;

done_testing();
