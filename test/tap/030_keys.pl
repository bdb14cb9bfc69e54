# Keys come from files or commands, with every fault there is; they are read at server start and by
# reload_keys(); a fault stops no server and takes no key away; and nothing of a key is ever shown.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my ($signing, $receipt) = ("$dir/signing.pem", "$dir/receipt.key");
my @secrets;    # whatever must not be shown

sub write_key
{
	my ($file, $text, $mode) = @_;
	unlink $file;
	append_to_file($file, $text);
	chmod $mode // 0600, $file or die $!;
	return;
}

sub new_secret
{
	my $secret = `openssl rand -hex 32`;
	chomp $secret;
	push @secrets, $secret;
	return $secret;
}

sub new_signing_key
{
	my $pem = `openssl genpkey -algorithm ed25519`;
	push @secrets, $pem =~ /^(M.{60,})$/m;
	return $pem;
}

# Key ids are worked out here with nothing of auditchain's.
sub id_of
{
	my ($secret) = @_;
	append_to_file("$dir/id", 'auditchain receipt key' . pack('H*', $secret));
	my ($id) = `openssl dgst -sha256 -r "$dir/id"` =~ /^(.{8})/;
	unlink "$dir/id";
	return $id;
}

my $node = new_node('keys');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'auditchain'\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION auditchain');

sub state_of
{
	my ($key) = @_;
	return $node->safe_psql('postgres',
		"SELECT value, advice FROM auditchain.status() WHERE item = '$key key'");
}

is(state_of('signing'), 'none|', 'no signing key is set');
is(state_of('receipt'), 'none|', 'no receipt key is set');
is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', 'nothing to read is no fault');

# At server start

my $secret = new_secret();
write_key($receipt, "$secret\n");
write_key($signing, new_signing_key());
$node->append_conf('postgresql.conf',
	"auditchain.signing_key_file = '$signing'\nauditchain.receipt_key_file = '$receipt'\n");
$node->restart;
is(state_of('signing'), 'loaded|', 'the signing key is read at server start');
is(state_of('receipt'), id_of($secret) . '|', 'the receipt key is read at server start, and has an id');

# Rotation: by a reload without a restart, old secrets being kept

my $newer = new_secret();
write_key($receipt, "$newer\n$secret\n");
is(state_of('receipt'), id_of($secret) . '|', 'a file is not read before it has to be');
is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', 'keys are reloaded');
my $both = id_of($newer) . ', accepted: ' . id_of($secret) . '|';
is(state_of('receipt'), $both, 'the newer secret is in use, the older accepted');

# Faults: a key that is in use stays

sub check_fault
{
	my ($key, $advice, $name) = @_;
	my $before = state_of($key) =~ s/\|.*//sr;
	my ($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT auditchain.reload_keys()');
	is($stdout, 'f', "$name: not reloaded");
	like($stderr, qr/WARNING:  auditchain cannot read its $key key, and keeps the one in use/, "$name: a warning");
	like($stderr, qr/DETAIL:  \S.*HINT:  \S/s, "$name: with its reason");
	like(state_of($key), qr/^\Q$before\E\|.*$advice/, "$name: the key in use stays, with advice");
	return;
}

sub check_bad_file
{
	my ($key, $file, $text, $mode, $advice, $name) = @_;
	write_key($file, $text, $mode);
	check_fault($key, $advice, "$key key $name");
	unlink $file;
	return;
}

for my $key ([ 'signing', $signing, new_signing_key() ], [ 'receipt', $receipt, new_secret() . "\n" ])
{
	my ($which, $file, $good) = @$key;
	my $kept = state_of($which);
	unlink $file;
	check_fault($which, 'No such file.*This makes a key: .*openssl', "$which key missing");
	mkdir $file;
	check_fault($which, 'is not a regular file', "$which key that is a directory");
	rmdir $file;
	system('mkfifo', $file);
	check_fault($which, 'is not a regular file', "$which key that is a FIFO");
	unlink $file;
	check_bad_file($which, $file, $good, 0000, 'Permission denied', 'unreadable');
	check_bad_file($which, $file, $good, 0644, 'has group or world access.*0600', 'readable by all');
	check_bad_file($which, $file, $good, 0640, 'has group or world access', 'readable by the group');
	check_bad_file($which, $file, $good, 0602, 'has group or world access', 'writable by others');
	check_bad_file($which, $file, '', 0600, 'is empty', 'empty');
	check_bad_file($which, $file, $good x 200, 0600, '8192 bytes or more', 'too long');
	check_bad_file($which, $file, substr($good, 0, 40), 0600, 'malformed', 'cut off');
	write_key($file, $good);
	is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', "$which key mended");
	isnt(state_of($which), $kept, "$which key: another") if $which eq 'receipt';
	like(state_of($which), qr/^[^|]+\|$/, "$which key: no advice any more");
}

check_bad_file('signing', $signing, scalar `openssl genpkey -algorithm x25519`, 0600, 'not of type Ed25519', 'of another type');
check_bad_file('signing', $signing,
	scalar `openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -passout pass:x`,
	0600, 'is encrypted', 'with a passphrase');
check_bad_file('signing', $signing, scalar `openssl genpkey -algorithm ed25519 | openssl pkey -pubout`,
	0600, 'no private key', 'that is public');
write_key($signing, new_signing_key());
for my $bad (
	[ 'of 63 digits', substr(new_secret(), 1) . "\n", 'line 1 is not a secret of 64 hexadecimal digits' ],
	[ 'with a word', 'secret: ' . new_secret() . "\n", 'line 1 is not' ],
	[ 'with a bad second line', new_secret() . "\nold\n", 'line 2 is not' ],
	[ 'of seventeen lines', join('', map { new_secret() . "\n" } 1 .. 17), 'more than 16 lines' ])
{
	check_bad_file('receipt', $receipt, $bad->[1], 0600, $bad->[2], $bad->[0]);
}

# A fault at server start stops no server

$node->restart;
like(state_of('receipt'), qr/^none\|.*No such file/, 'a server without its receipt key starts');
is(state_of('signing'), 'loaded|', 'and has the other key');
like(slurp_file($node->logfile), qr/WARNING:  auditchain cannot read its receipt key\n/,
	'its log says what is missing');

# Commands

sub set_keys
{
	my (%settings) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET auditchain.$_ = '$settings{$_}'") for keys %settings;
	$node->reload;
	# The session that asks has read the configuration when it shows the new values.
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_settings WHERE ("
		  . join(' OR ', map { "name = 'auditchain.$_' AND setting <> '$settings{$_}'" } keys %settings)
		  . ')');
	return;
}

my $by_command = new_secret();
write_key("$dir/elsewhere", "$by_command\n", 0644);
set_keys(receipt_key_command => "cat $dir/elsewhere");
my ($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT auditchain.reload_keys()');
like($stderr, qr/Both auditchain.receipt_key_file and auditchain.receipt_key_command are set.*Set only one/s,
	'a file and a command are too much');
set_keys(receipt_key_file => '');
is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', 'a command gives the key');
is(state_of('receipt'), id_of($by_command) . '|', 'the key is what the command writes');
set_keys(signing_key_file => '', signing_key_command => "cat $signing");
is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', 'a command gives the signing key');

for my $bad (
	[ 'that fails', "cat $dir/elsewhere; exit 3", 'The command failed: .*exit code 3' ],
	[ 'that does not exist', "$dir/nowhere", 'The command failed: .*(not found|127)' ],
	[ 'that is killed', "cat $dir/elsewhere; kill -9 \$\$", 'The command failed: .*signal 9' ],
	[ 'that writes nothing', 'true', 'The command writes nothing' ],
	[ 'that does not end writing', "yes \$(cat $dir/elsewhere)", '8192 bytes or more' ],
	[ 'that writes something else', "echo sorry; cat $dir/elsewhere", 'What the command writes is malformed: line 1' ])
{
	set_keys(receipt_key_command => $bad->[1]);
	check_fault('receipt', $bad->[2], "a command $bad->[0]");
}
set_keys(receipt_key_command => "cat $dir/elsewhere");
$node->restart;
is(state_of('receipt'), id_of($by_command) . '|', 'a command gives the key at server start');
is(state_of('signing'), 'loaded|', 'and the signing key');

# After a crash, shared memory is made anew

my $session = $node->background_psql('postgres', on_error_stop => 0);
my $victim = $session->query_safe('SELECT pg_backend_pid()');
my $from = -s $node->logfile;
kill 'KILL', $victim;
$node->wait_for_log(qr/database system is ready to accept connections/, $from);
eval { $session->quit };
is(state_of('receipt'), id_of($by_command) . '|', 'the key is there after a crash of a session');

# Taking a key away is a decision, no fault

set_keys(receipt_key_command => '', signing_key_command => '');
is($node->safe_psql('postgres', 'SELECT auditchain.reload_keys()'), 't', 'no source is no fault');
is(state_of('signing') . state_of('receipt'), 'none|none|', 'without settings there are no keys');

# Who may do what

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; GRANT pg_read_server_files, pg_read_all_settings TO app');
($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT auditchain.reload_keys()', extra_params => [ '-U', 'app' ]);
like($stderr, qr/permission denied for function reload_keys/, 'only superusers reload keys');
($status, $stdout, $stderr) = $node->psql('postgres', "SET auditchain.receipt_key_file = '/tmp/x'");
like($stderr, qr/cannot be changed now/, 'no session changes where keys come from');

# Nothing of any key has been shown

$node->stop;
my $log = slurp_file($node->logfile);
is(scalar(grep { $log =~ /\Q$_\E/i } @secrets), 0, 'no key is in the log of the server');
is(scalar(@secrets) > 20, 1, 'there were some');

# Without preloading

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT auditchain.reload_keys()');
like($stderr, qr/ERROR:  the server has no place for keys.*not preloaded/s, 'keys need preloading');

done_testing();
