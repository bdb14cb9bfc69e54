# A log whose policy archives to files, aged through years: archive, verify, restore, hold, expire, tombstone.
# Signed, encrypted and with receipts; forged by somebody who makes all sums anew; with a standby; dumped and restored.

use strict;
use warnings;
use Fcntl ':flock';
use File::Basename;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $dir = PostgreSQL::Test::Utils::tempdir();
my $archives = "$dir/archives";
mkdir $archives or die $!;
IPC::Run::run([ $program, 'keygen', $_, "$dir/$_.key" ], '>', '/dev/null') or die for 'signing', 'receipt', 'archive';

my $node = new_node('files', allows_streaming => 1);
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0
auditchain.receipt_key_file = '$dir/receipt.key'
auditchain.archive_directory = '$archives'
});
$node->start;
my $entries = 2200;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), tenant text, note jsonb);
	SELECT auditchain.protect('events', chain_by => '{tenant}', receipts => true);
	SELECT auditchain.set_retention('events', '6 years', '1 year', 'file:events');
	INSERT INTO events (at, tenant, note)
		SELECT now() - interval '6 years' + i * interval '1 day', i % 3, jsonb_build_object('n', i, 'text', repeat('x', 100))
		FROM generate_series(1, $entries) i WHERE i <= 2180;
	INSERT INTO events (tenant, note) SELECT i % 3, '{}' FROM generate_series(1, 20) i;
});
is($node->safe_psql('postgres', 'SELECT count(*) FROM events'), $entries, 'entries');

sub files
{
	my @files = sort glob "$archives/events/*";
	return @files;
}

sub outcome_of
{
	my (@command) = @_;
	IPC::Run::run(\@command, '<', '/dev/null', '>', \my $stdout, '2>', \my $stderr);
	return join ' ', $? >> 8, $stderr =~ /VIOLATION (\w+)/g;
}

sub check_intact
{
	my ($name, $on, $database) = @_;
	$on //= $node;
	$database //= 'postgres';
	is($on->safe_psql($database, q{SELECT intact, total_events FROM auditchain.verify('events')}), "t|$entries", "$name: the log is intact");
	is($on->safe_psql($database, q{SELECT archive, message FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE NOT v.intact}),
		'', "$name: so are the archives");
	is($on->safe_psql($database, q{SELECT intact FROM auditchain.verify('auditchain.operations')}), 't', "$name: so is the log of operations");
	return;
}

# Before the server has a signing key: a bundle that is not signed, in which a forger could change everything but what is on record.
$node->safe_psql('postgres', q{SELECT auditchain.archive('events', now() - interval '5 years 10 months')});
my ($unsigned) = files();
is(scalar(files()), 1, 'one file');
is(outcome_of($program, 'verify', $unsigned), '0', 'which is a bundle');
like(slurp_file($unsigned), qr/"policy":\{"destination":"file:events","hot":"1 year","keep":"6 years"\}/, 'that tells the policy');
check_intact('unsigned');

# With keys, a month at a time.
$node->append_conf('postgresql.conf', qq{
auditchain.signing_key_file = '$dir/signing.key'
auditchain.archive_key_file = '$dir/archive.key'
});
$node->restart;
is($node->safe_psql('postgres', q{SELECT archived > 1700, expired FROM auditchain.apply_retention() WHERE log = 'events'::regclass}),
	't|0', 'five years are archived');
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.archives');
cmp_ok($count, '>', 55, "$count archives");
is(scalar(files()), $count, 'and as many files');
check_intact('archived');
my $key = $node->safe_psql('postgres', q{SELECT auditchain.verifier_key('events')});
is(outcome_of($program, 'verify', '--key', $key, '--key-file', "$dir/archive.key", (files())[1 .. 20]), '0', 'signed and encrypted');
is(outcome_of($program, 'verify', '--key', $key, (files())[1]), '2', 'not to be read without the key');

# Restored
my $restored = $node->safe_psql('postgres', q{
	SELECT auditchain.restore_archive('events', (SELECT file FROM auditchain.archives ORDER BY archive LIMIT 1 OFFSET 3))});
is($restored, 'events_restored_1', 'restored');
is($node->safe_psql('postgres', qq{
	SELECT count(*) > 20, min(note ->> 'text') = repeat('x', 100), bool_and(note ->> 'n' = id::text), bool_and(receipt IS NOT NULL) FROM $restored}),
	't|t|t|t', 'with what it had');

# A standby that sees the directory
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
check_intact('standby', $standby);
$standby->stop;

# Forged: sums of the file and the record in the catalog are made anew, too.
my $forge = "$dir/forge.py";
append_to_file($forge, <<'END');
import hashlib, json, re, subprocess, sys, tarfile
source, how = sys.argv[1:]
tar = tarfile.open(source)
members = [(m, tar.extractfile(m.name).read()) for m in tar.getmembers()]
data = {m.name: d for m, d in members}
entries = "entries/000001.jsonl.zst"
lines = subprocess.run(["zstd", "-dc"], input=data[entries], capture_output=True, check=True).stdout.decode().split("\n")[:-1]
load = lambda n: json.loads(lines[n])
n = [i for i in range(len(lines)) if "payload" in load(i)][10]
line = load(n)
if how == "content": line["payload"] = line["payload"].replace("xx", "xy")
elif how == "link": line["payload"] = "{}"; line["checksum"] = hashlib.sha256((line["previous_checksum"] + "{}").encode()).hexdigest()
elif how == "receipt": line["receipt"] = "00" * (len(line["receipt"]) // 2)
lines[n] = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
if how == "gone": del lines[n]
text = ("\n".join(lines) + "\n").encode()
old = data[entries]
data[entries] = subprocess.run(["zstd", "-c", f"--stream-size={len(text)}"], input=text, capture_output=True, check=True).stdout
sums = lambda d: f'"size":{len(d)},"sha256":"{hashlib.sha256(d).hexdigest()}"'
data["manifest.json"] = data["manifest.json"].decode().replace(sums(old), sums(data[entries])).encode()
raw = open(source, "rb").read()
with open(source, "wb") as out:
    for member, _ in members:
        header, content = bytearray(raw[member.offset : member.offset + 512]), data[member.name]
        header[124:136] = b"%011o\0" % len(content)
        header[148:156] = b" " * 8
        header[148:155] = b"%06o\0" % sum(header)
        out.write(header + content + bytes(-len(content) % 512))
    out.write(bytes(1024))
END
my $first = $node->safe_psql('postgres', 'SELECT min(archive) FROM auditchain.archives');
my $original = slurp_file($unsigned);
sub write_file
{
	my ($name, $content) = @_;
	open my $handle, '>:raw', $name or die $!;
	print $handle $content;
	close $handle or die $!;
	return;
}
my $recorded = "UPDATE auditchain.archive SET file_size = length(f), file_sha256 = sha256(f) FROM pg_read_binary_file('$unsigned') f WHERE archive_id = $first";
for my $case (
	[ 'content', 'content_modified' ],
	[ 'link', 'link_broken' ],
	[ 'gone', 'entry_missing' ],
	[ 'receipt', 'receipt_invalid' ])
{
	my ($how, $kind) = @$case;
	is(system('python3', $forge, $unsigned, $how), 0, "forge: $how");
	my $found = $node->safe_psql('postgres', "SELECT violations, message FROM auditchain.verify_archive($first)");
	like($found, qr/^1\|.*First: $kind/, "$how: $kind");
	$found = $node->safe_psql('postgres', "BEGIN; $recorded; SELECT violations, message FROM auditchain.verify_archive($first); ROLLBACK");
	like($found, qr/^2\|.*First: $kind/, "$how, on record: $kind, and what was recorded in the log of operations");
	my (undef, undef, $stderr) = $node->psql('postgres', "SELECT auditchain.restore_archive('events', file) FROM auditchain.archives WHERE archive = $first");
	like($stderr, qr/cannot be restored\n.*$kind/, "$how: is not restored") if $how ne 'receipt';
	write_file($unsigned, $original);
}
# Another intact bundle in its place
write_file($unsigned, slurp_file((files())[1]));
like($node->safe_psql('postgres', "SELECT violations, message FROM auditchain.verify_archive($first)"),
	qr/^1\|.*archive_mismatch: file \S+: it has not got positions/, 'exchanged');
write_file($unsigned, $original);
check_intact('put back');

# A key that is not there any more: the archive cannot be read, and says so.
$node->append_conf('postgresql.conf', "auditchain.archive_key_file = ''");
$node->reload;
sleep 1;
like($node->safe_psql('postgres', 'SELECT v.message FROM auditchain.archives, auditchain.verify_archive(archive) v ORDER BY archive LIMIT 1 OFFSET 1'),
	qr/archive_mismatch: .*its entries are encrypted, and no key was given/, 'without the archive key');
$node->append_conf('postgresql.conf', "auditchain.archive_key_file = '$dir/archive.key'");
$node->reload;
sleep 1;

# Dumped and restored, the files being where they are
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copy'), "$dir/dump" ], 'restore');
check_intact('restored', $node, 'copy');

# Copies see the same files, and delete none of them.
my @originals = files();
my $shorten = q{SELECT auditchain.set_retention('events', '3 years', '1 year', 'file:events', 'a copy'); SELECT 'expired', auditchain.expire('events')};
my $adopt = q{
	CALL auditchain.checkpoint('events');
	UPDATE auditchain.archive AS a SET made_in = (SELECT recorded_in FROM auditchain.incarnation AS i
		WHERE i.log_id = a.log_id ORDER BY incarnation DESC LIMIT 1)};
$node->safe_psql('postgres', 'CREATE DATABASE clone TEMPLATE postgres');
for my $copy ('copy', 'clone')
{
	my (undef, $stdout, $stderr) = $node->psql($copy, $shorten);
	like($stdout, qr/^expired\|0$/m, "$copy: nothing expires");
	like($stderr, qr/WARNING:  \d\d archives of log "events" are past their time, and are kept\n/, "$copy: with a WARNING");
	is(join(' ', files()), join(' ', @originals), "$copy: the files are there");
	is($node->safe_psql($copy, "$adopt; BEGIN; SELECT auditchain.expire('events') > 900; ROLLBACK"), 't', "$copy: unless they are taken over");
	$node->safe_psql('postgres', "DROP DATABASE $copy");
}
my $beside = PostgreSQL::Test::Cluster->new('beside');
$beside->init_from_backup($node, 'backup', has_streaming => 1);
$beside->start;
$beside->promote;
my (undef, $out, $err) = $beside->psql('postgres', $shorten);
like($out, qr/^expired\|0$/m, 'promoted: nothing expires');
like($err, qr/WARNING:  \d\d archives/, 'promoted: with a WARNING');
is(join(' ', files()), join(' ', @originals), 'promoted: the files are there');
$beside->stop;

# Years pass: what is past keep expires, but for what is held.
my $held = $node->safe_psql('postgres', q{SELECT id FROM events_restored_1 ORDER BY id LIMIT 1});
$node->safe_psql('postgres', qq{
	SELECT auditchain.hold('events', 'case', '{"id": $held}');
	SELECT auditchain.set_retention('events', '4 years', '1 year', 'file:events', 'storage');
	SELECT auditchain.apply_retention()});
is($node->safe_psql('postgres', q{
	SELECT count(*), bool_and(newest_entry > now() - interval '4 years') FROM auditchain.archives
	WHERE state = 'kept' AND archive <> (SELECT archive FROM auditchain.archives ORDER BY archive LIMIT 1 OFFSET 3)}) =~ /^(\d+)\|t$/ ? 1 : 0, 1, 'what is old has expired');
is($node->safe_psql('postgres', q{SELECT state FROM auditchain.archives ORDER BY archive LIMIT 1 OFFSET 3}), 'kept', 'but not what is held');
is(scalar(files()), $node->safe_psql('postgres', q{SELECT count(*) FROM auditchain.archives WHERE state = 'kept'}), 'files of what is kept, and no others');
check_intact('expired');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM auditchain.archives a WHERE state = 'expired' AND NOT EXISTS (SELECT FROM auditchain.operations
		WHERE event = 'expired' AND details ->> 'archive' = archive::text AND details ->> 'sha256' = a.sha256 AND reason = 'keep 4 years')}),
	'0', 'with tombstones');
$node->safe_psql('postgres', q{SELECT auditchain.lift_hold(1, 'closed'); SELECT auditchain.expire('events')});
is($node->safe_psql('postgres', q{SELECT state FROM auditchain.archives ORDER BY archive LIMIT 1 OFFSET 3}), 'expired', 'until the hold is lifted');

# A directory that is gone stops nothing else, and nothing is lost.
rename $archives, "$archives.away" or die $!;
my ($outcome, $stdout, $stderr) = $node->psql('postgres', q{SELECT auditchain.archive('events', now() - interval '300 days')});
like($stderr, qr/could not open "events" in the archive directory\n.*No such file/, 'without the directory');
my ($away) = $node->safe_psql('postgres', q{SELECT count(*) FROM auditchain.archives WHERE state = 'kept'});
(undef, $stdout, $stderr) = $node->psql('postgres', q{
	BEGIN;
	SELECT auditchain.set_retention('events', '2 years', '1 year', 'file:events', 'storage');
	SELECT 'expired', auditchain.expire('events');
	SELECT 'kept', count(*) FROM auditchain.archives WHERE state = 'kept';
	COMMIT});
like($stdout, qr/^expired\|0\nkept\|$away$/m, 'what is away is kept');
like($stderr, qr/WARNING:  archive \d+ of log "events" is past its time, and is kept\nDETAIL:  It cannot be told what events\S+ has: No such file or directory/,
	'with a WARNING');
rename "$archives.away", $archives or die $!;
check_intact('directory back');
is($node->safe_psql('postgres', q{SELECT auditchain.expire('events') > 600}), 't', 'it expires when it is back');
check_intact('expired when it is back');
is($node->safe_psql('postgres', q{SELECT auditchain.archive('events', now() - interval '300 days') IS NOT NULL}), 't', 'a rerun finishes');
check_intact('rerun');
# A file that cannot be removed when a transaction ends, under a name that the client's encoding has not got
$node->safe_psql('postgres', q{CREATE DATABASE utf8 TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
my $offset = -s $node->logfile;
($outcome, $stdout, $stderr) = $node->psql('utf8', qq{
	SET client_encoding = 'UTF8';
	CREATE EXTENSION auditchain;
	CREATE TABLE ev (id int PRIMARY KEY, at timestamptz DEFAULT now());
	SELECT auditchain.protect('ev');
	SELECT auditchain.set_retention('ev', '2 years', '1 year', 'file:日本');
	INSERT INTO ev VALUES (1, now() - interval '4 years'), (2, now() - interval '3 years'), (3, now());
	SELECT auditchain.archive('ev', now() - interval '3 years 6 months');
	SET client_encoding = 'LATIN1';
	BEGIN;
	SELECT auditchain.archive('ev', now() - interval '1 year');
	\\! chmod 500 '$archives/日本'
	ROLLBACK;
	SELECT 'expired ' || auditchain.expire('ev');
	SELECT 'still here';
	\\! chmod 700 '$archives/日本'
});
is($outcome, 0, 'files that cannot be removed: no error');
like($stdout, qr/^expired 1\nstill here\z/m, 'at COMMIT or ROLLBACK');
my @unremoved = slurp_file($node->logfile, $offset) =~ /LOG: .*could not remove "日本\/ev\.\S+\.(00000\d\.\w+)"/g;
is_deeply([ sort @unremoved ], [ '000001.tar', '000002.tar' ], 'the log of the server tells of them');
is($node->safe_psql('utf8', 'SELECT state FROM auditchain.archives'), 'expired', 'and they have expired');
# Another directory before the transaction ends: the file is where it was, and goes from there.
my $elsewhere = "$dir/elsewhere";
mkdir $_ or die $! for $elsewhere, "$elsewhere/moved";
my $session = $node->background_psql('utf8');
$session->query_safe(q{SELECT auditchain.set_retention('ev', NULL, '1 year', 'file:moved', 'elsewhere')});
$session->query_safe(q{BEGIN});
$session->query_safe(q{SELECT auditchain.archive('ev', now() - interval '1 year')});
my ($moved) = glob "$archives/moved/*.tar";
ok($moved, 'written, and not committed');
my $same_name = "$elsewhere/moved/" . basename($moved);
write_file($same_name, 'of somebody else');
$node->safe_psql('postgres', $_) for "ALTER SYSTEM SET auditchain.archive_directory = '$elsewhere'", 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', "SELECT current_setting('auditchain.archive_directory') = '$elsewhere'") or die;
$session->query_safe(q{SELECT 1});
is($session->query_safe(q{SHOW auditchain.archive_directory}), $elsewhere, 'the directory is another now');
$session->query_safe(q{ROLLBACK});
$session->quit;
ok(!-e $moved, 'rolled back: the file is gone');
ok(-e $same_name, 'and not one of its name elsewhere');
$node->safe_psql('postgres', $_) for 'ALTER SYSTEM RESET auditchain.archive_directory', 'SELECT pg_reload_conf()';
$node->poll_query_until('postgres', "SELECT current_setting('auditchain.archive_directory') = '$archives'") or die;

# A copy of the database with the same directory: the same log, the same numbers, at the same time
$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE ev (id int PRIMARY KEY, at timestamptz DEFAULT now());
	SELECT auditchain.protect('ev');
	SELECT auditchain.set_retention('ev', NULL, '1 year', 'file:both');
	INSERT INTO ev VALUES (1, now() - interval '3 years'), (2, now())});
$node->safe_psql('postgres', 'CREATE DATABASE twin TEMPLATE original');
sub wait_in_twin
{
	my ($condition) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'twin' AND $condition") or die $condition;
	return;
}
my $twin = [ 'psql', '-X', '-d', $node->connstr('twin'), '-c' ];
my $blocker = IPC::Run::start([ @$twin, 'BEGIN; LOCK auditchain.verification IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)' ], '<', '/dev/null', '>&', \my $blocked);
wait_in_twin(q{wait_event = 'PgSleep'});
my $archiving = IPC::Run::start([ @$twin, q{SELECT 'done', auditchain.archive('ev', now() - interval '1 year')} ], '<', '/dev/null', '>&', \my $archived);
wait_in_twin(q{wait_event_type = 'Lock'});
my ($in_use) = glob "$archives/both/*.partial";
ok($in_use, 'the copy is writing an archive');
# Three of the original's, of which a copy of the server has one open, and one of something else
my $mark = $node->safe_psql('original', q{SELECT lpad(to_hex(system_identifier), 16, '0') || '-' || oid FROM pg_control_system(), pg_database WHERE datname = current_database()});
(my $stem = $in_use) =~ s/\.[^.]+\.partial$//;
write_file($_, '') for my ($leftover, $open, $other) = ("$stem.$mark-1.partial", "$stem.$mark-2.partial", "$archives/both/x.partial");
open my $locked, '<', $open or die $!;
flock $locked, LOCK_EX or die $!;
is($node->safe_psql('original', q{SELECT auditchain.archive('ev', now() - interval '1 year') IS NOT NULL}), 't', 'while the original archives');
is_deeply([ map { -e $_ ? 1 : 0 } $in_use, $leftover, $open, $other ], [ 1, 0, 1, 1 ], 'which removes its own leftovers');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'twin' AND wait_event = 'PgSleep'});
$_->finish for $archiving, $blocker;
like($archived, qr/done/, 'the copy archives too');
is($node->safe_psql($_, 'SELECT v.intact FROM auditchain.archives, auditchain.verify_archive(archive) v'), 't', "$_: the archive is intact") for 'original', 'twin';
isnt($node->safe_psql('original', 'SELECT file FROM auditchain.archives'), $node->safe_psql('twin', 'SELECT file FROM auditchain.archives'), 'each in its own file');
unlink $open, $other;
is(scalar(my @both = glob "$archives/both/*"), 2, 'and no others');
is(trouble_in($node) =~ /PANIC|TRAP|signal/ ? 1 : 0, 0, 'no crash');

done_testing();
