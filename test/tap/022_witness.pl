# The witness: what it accepts and remembers, and what it alarms of: a database restored to the past, a
# forked log, another key, silence.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $dir = PostgreSQL::Test::Utils::tempdir();

sub run_program
{
	my (@arguments) = @_;
	IPC::Run::run([ $program, @arguments ], '<', '/dev/null', '>', \my $stdout, '2>', \my $stderr);
	return ($? >> 8, $stdout, $stderr);
}

# keygen
my $key = "$dir/signing.pem";
my ($status, $stdout, $stderr) = run_program('keygen', 'signing', $key);
is("$status $stdout", "0 auditchain.signing_key_file = '$key'\n", 'keygen signing');
is((stat $key)[2] & 0777, 0600, 'for its owner only');
is(system("openssl pkey -in $key -noout"), 0, 'openssl reads it');
my $before = slurp_file($key);
($status, $stdout, $stderr) = run_program('keygen', 'signing', $key);
is($status, 2, 'it is not overwritten');
like($stderr, qr/cannot create .*File exists/, 'and says so');
is(slurp_file($key), $before, 'still the same');
($status, $stdout) = run_program('keygen', 'receipt', "$dir/receipt.key");
is("$status $stdout", "0 auditchain.receipt_key_file = '$dir/receipt.key'\n", 'keygen receipt');
like(slurp_file("$dir/receipt.key"), qr/^[0-9a-f]{64}\n\z/, '64 hexadecimal digits');
run_program('keygen', 'signing', "$dir/witness.pem");

my $node = new_node('primary');
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.signing_key_file = '$key'
auditchain.receipt_key_file = '$dir/receipt.key'
auditchain.checkpoint_interval = 0
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id serial PRIMARY KEY, note text);
	SELECT auditchain.protect('events', receipts => true);
	INSERT INTO events (note) SELECT 'x' FROM generate_series(1, 100);
	CREATE ROLE watcher LOGIN PASSWORD 'hunter2';
	GRANT SELECT ON events TO watcher;
	CREATE TABLE other (id serial PRIMARY KEY);
	SELECT auditchain.protect('other');
	GRANT SELECT ON other TO watcher;
});
mkdir "$dir/notes";

sub witness
{
	my ($server, @more) = @_;
	return run_program('witness', '--once', '--state', "$dir/state.json", '--cosign-key', "$dir/witness.pem",
		'--name', 'witness.example/w1', '--notes', "$dir/notes",
		'--dsn', $server->connstr('postgres') . ' user=watcher password=hunter2', @more);
}

sub seal
{
	my ($server, $count) = @_;
	$server->safe_psql('postgres', "INSERT INTO events (note) SELECT gen_random_uuid() FROM generate_series(1, $count)") if $count;
	$server->safe_psql('postgres', q{CALL auditchain.checkpoint('events'); CALL auditchain.checkpoint('other')});
	return;
}

($status, $stdout) = witness($node);
is($status, 0, 'nothing is sealed yet');
like($stdout, qr/unsigned: public\.events: it has no signed checkpoint yet/, 'and it says so');
seal($node, 0);
($status, $stdout, $stderr) = witness($node);
is("$status$stderr", '0', 'the first checkpoint');
like($stdout, qr/accepted: public\.events: from 0 entries to 100/, 'is accepted');
for my $count (1, 200, 0)
{
	seal($node, $count);
	($status, $stdout, $stderr) = witness($node);
	is("$status$stderr", '0', "$count more entries");
}
# Several checkpoints since the last look
seal($node, 5) for 1 .. 3;
($status, $stdout) = witness($node);
is(scalar(() = $stdout =~ /accepted: public\.events/g), 3, 'each of several');

# The state has no password, and the notes are cosigned.
my $state = slurp_file("$dir/state.json");
unlike("$state$stdout", qr/hunter2/, 'no password is kept or shown');
my $log_id = $node->safe_psql('postgres', q{SELECT log_id FROM auditchain.logs WHERE log = 'events'::regclass});
my $note = slurp_file("$dir/notes/$log_id.note");
like($note, qr/\n\x{e2}\x{80}\x{94} witness\.example\/w1 \S+\n\z/, 'a cosigned note');
my $vkey = $node->safe_psql('postgres', q{SELECT auditchain.verifier_key('events')});
is( $node->safe_psql('postgres',
		"SELECT auditchain.verify_note(convert_from('\\x" . unpack('H*', $note) . "', 'UTF8'), '$vkey')"),
	't', 'that is still signed by the log');
ok((() = slurp_file("$dir/notes/$log_id.history") =~ /^auditchain\//mg) > 5, 'and a history');

# One process at a time; connections that fail; arguments that are none.
{
	my $loop = IPC::Run::start([ $program, 'witness', '--state', "$dir/state.json", '--max-age', '0', '--dsn', $node->connstr('postgres') ],
		'>', '/dev/null', '2>', '/dev/null');
	sleep 2;
	($status, $stdout, $stderr) = witness($node);
	is($status, 2, 'the state is in use');
	like($stderr, qr/another process uses/, 'and it says so');
	$loop->signal('TERM');
	$loop->finish;
	ok(!$loop->full_result, 'it ends when it is told to');
}
($status, $stdout, $stderr) = run_program('witness', '--once', '--state', "$dir/none.json", '--dsn', 'host=/nowhere password=hunter2');
is($status, 2, 'no connection');
like($stderr, qr/ALARM unreachable: host=\/nowhere/, 'is told');
unlike($stderr, qr/hunter2/, 'without the password');
is((run_program('witness'))[0], 2, 'without a database');
is((run_program('nothing'))[0], 2, 'an unknown command');
like((run_program('witness', '--help'))[1], qr/restored\s+to\s+the\s+past/, 'help');

# An older copy of the data directory, put back.
$node->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
system_or_bail('cp', '-a', $node->data_dir, $copy->data_dir);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'");
$node->start;
seal($node, 10);
($status) = witness($node);
is($status, 0, 'it goes on');
$copy->start;
($status, $stdout, $stderr) = witness($copy);
is($status, 1, 'the copy is older');
like($stderr, qr/ALARM rolled_back: public\.events: it had sealed \d+ entries/, 'rolled back');
# It grows beyond: a fork.
seal($copy, 50);
($status, $stdout, $stderr) = witness($copy, '--json');
is($status, 1, 'the copy has grown');
like($stderr, qr/"kind":"forked"/, 'a fork');
is((witness($node))[0], 0, 'the true one is still fine');
$copy->stop;

# A dump, restored: another life of the same tree.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('template1', 'ALTER DATABASE postgres RENAME TO lost; CREATE DATABASE postgres');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('postgres'), "$dir/dump" ], 'restore');
seal($node, 3);
($status, $stdout, $stderr) = witness($node);
is("$status$stderr", '0', 'a restored dump goes on');
like($stdout, qr/incarnation_changed: public\.events: goes on as auditchain\/$log_id\/2-/, 'in another name');

# Rewritten by a superuser, sealed anew by the server.
$node->safe_psql('postgres', q{
	DELETE FROM auditchain.checkpoint;
	DELETE FROM auditchain.sealed_range;
	DELETE FROM auditchain.tree_hash;
	ALTER TABLE events DISABLE TRIGGER ALL;
	DELETE FROM events;
	ALTER TABLE events ENABLE ALWAYS TRIGGER zz_auditchain_chain;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_row;
	ALTER TABLE events ENABLE ALWAYS TRIGGER auditchain_guard_statement});
seal($node, 1000);
($status, $stdout, $stderr) = witness($node);
is($status, 1, 'rewritten history');
like($stderr, qr/ALARM forked: public\.events/, 'is a fork');

# Another key; silence.
run_program('keygen', 'signing', "$dir/other.pem");
$node->safe_psql('postgres', q{CREATE TABLE third (id int); SELECT auditchain.protect('third'); CALL auditchain.checkpoint('third'); GRANT SELECT ON third TO watcher});
witness($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET auditchain.signing_key_file = '$dir/other.pem'");
$node->restart;
$node->safe_psql('postgres', q{CALL auditchain.checkpoint('third')});
($status, $stdout, $stderr) = witness($node);
like($stderr, qr/ALARM key_changed: public\.third/, 'another key');
my $new = $node->safe_psql('postgres', q{SELECT auditchain.verifier_key('third')});
($status, $stdout, $stderr) = witness($node, '--key', $vkey, '--key', $new);
unlike($stderr, qr/key_changed/, 'unless it is given');
sleep 2;
($status, $stdout, $stderr) = witness($node, '--max-age', '1', '--key', $vkey, '--key', $new);
like($stderr, qr/ALARM silent: public\.third: last sealed \d+ seconds ago/, 'silence');
$node->safe_psql('postgres', 'REVOKE SELECT ON third FROM watcher');
($status, $stdout, $stderr) = witness($node);
like($stderr, qr/ALARM log_missing: public\.third/, 'a log that is gone');
$node->stop;

done_testing();
