# Time stamps of checkpoints, by an authority made with openssl: asked for in SQL, kept, verified by
# `openssl ts`; and what is refused.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();

sub openssl
{
	my (@arguments) = @_;
	IPC::Run::run([ 'openssl', @arguments ], '>', '/dev/null', '2>', '/dev/null')
	  or die "openssl @arguments failed";
	return;
}

# Two authorities, of which one is called in letters that are not ASCII, and neither is trusted by itself.
append_to_file("$dir/tsa.cnf", <<"END");
[ req ]
distinguished_name = name
[ name ]
[ ca ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[ signer ]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[ tsa ]
serial = $dir/serial
default_policy = 1.3.6.1.4.1.32473.1
digests = sha256, sha512
signer_digest = sha256
END

sub new_authority
{
	my ($name, $subject) = @_;
	openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', "$dir/$name.$_.key") for 'ca', 'tsa';
	openssl('req', '-new', '-x509', '-config', "$dir/tsa.cnf", '-extensions', 'ca', '-days', '2',
		'-key', "$dir/$name.ca.key", '-subj', "/CN=CA of $name", '-out', "$dir/$name.ca.pem");
	openssl('req', '-new', '-config', "$dir/tsa.cnf", '-utf8',
		'-key', "$dir/$name.tsa.key", '-subj', $subject, '-out', "$dir/$name.csr");
	openssl('x509', '-req', '-in', "$dir/$name.csr", '-CA', "$dir/$name.ca.pem", '-CAkey', "$dir/$name.ca.key",
		'-set_serial', '2', '-days', '2', '-extfile', "$dir/tsa.cnf", '-extensions', 'signer', '-out', "$dir/$name.tsa.pem");
	return;
}
new_authority('one', '/O=Example/CN=Stamps');
new_authority('two', "/O=Example/CN=Zeit f\xc3\xbcr B\xc3\xbccher");

my $files = 0;

sub file_of
{
	my ($bytes) = @_;
	my $file = "$dir/" . ++$files;
	append_to_file($file, $bytes);
	return $file;
}

# What an authority answers to a request.
sub answer
{
	my ($name, $request) = @_;
	my $answer = "$dir/" . ++$files;
	openssl('ts', '-reply', '-config', "$dir/tsa.cnf", '-section', 'tsa', '-queryfile', file_of($request),
		'-inkey', "$dir/$name.tsa.key", '-signer', "$dir/$name.tsa.pem", '-out', $answer);
	return slurp_file($answer);
}

sub verifies
{
	my ($name, $token, @of) = @_;
	return IPC::Run::run([ 'openssl', 'ts', '-verify', '-in', file_of($token), '-token_in', @of, '-CAfile', "$dir/$name.ca.pem" ],
		'>', '/dev/null', '2>', '/dev/null');
}

openssl('genpkey', '-algorithm', 'ed25519', '-out', "$dir/signing.pem");
chmod 0600, "$dir/signing.pem" or die $!;
my $node = new_node('primary');
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0
auditchain.signing_key_file = '$dir/signing.pem'
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION auditchain;
	CREATE ROLE reader;
	CREATE ROLE app;
	CREATE TABLE events (id int PRIMARY KEY);
	SELECT auditchain.protect('events');
	GRANT SELECT ON events TO reader;
	GRANT INSERT ON events TO app;
	INSERT INTO events VALUES (1), (2);
	CREATE TABLE others (id int PRIMARY KEY);
	SELECT auditchain.protect('others');});

# A value of bytes, or a text with its line breaks.
sub bytes
{
	my ($query, $database) = @_;
	return pack('H*', $node->safe_psql($database // 'postgres', "SELECT encode(($query), 'hex')"));
}
sub published { return bytes("SELECT convert_to(publish, 'UTF8') FROM auditchain.checkpoints WHERE log = 'events'::regclass AND tree_size = $_[0]", $_[1]) }
sub request { return bytes("SELECT auditchain.timestamp_request('$_[0]')") }

sub add
{
	my ($size, $token, %options) = @_;
	my ($status, undef, $stderr) = $node->psql('postgres',
		($options{role} ? "SET ROLE $options{role};" : '')
		. sprintf(q{SELECT auditchain.add_timestamp('%s', %d, '\x%s')}, $options{log} // 'events', $size, unpack('H*', $token)));
	return $status == 0 ? '' : $stderr;
}

my ($status, undef, $stderr) = $node->psql('postgres', q{\set VERBOSITY verbose
	SELECT auditchain.timestamp_request('events')});
like($stderr, qr/LC013: log "events" has no checkpoint\nDETAIL:.*\nHINT:  CALL auditchain.checkpoint\('public.events'\)/,
	'nothing to stamp yet');

# The newest checkpoint is stamped by both; the token of one comes alone, that of the other in its response.
$node->safe_psql('postgres', q{CALL auditchain.checkpoint('events'); CALL auditchain.checkpoint('others')});
my $request = request('events');
isnt(request('events'), $request, 'each request has a nonce of its own');
my $one = answer('one', $request);
my $two = answer('two', request('events'));
openssl('ts', '-reply', '-in', file_of($two), '-token_out', '-out', "$dir/token");
is(add(2, $one), '', 'a response is kept');
is(add(2, slurp_file("$dir/token")), '', 'a token as well');
is(add(2, $one), '', 'twice is once');
is($node->safe_psql('postgres', q{
	SELECT log, incarnation, tree_size, authority, abs(extract(epoch FROM stamped_at - now())) < 100, added_at <= now()
	FROM auditchain.timestamps ORDER BY authority}),
	"events|1|2|CN=Stamps,O=Example|t|t\n"
	. 'events|1|2|CN=Zeit f\C3\BCr B\C3\BCcher,O=Example|t|t', 'both are shown');

# openssl verifies what the views give out, and nothing else.
my $note = published(2);
like($note, qr{^auditchain/.*\n2\n.*\n\n\xe2\x80\x94 auditchain/}, 'the note is what is stamped');
my $token = q{SELECT token FROM auditchain.timestamps WHERE authority LIKE '%%%s%%'};
my %token = (one => bytes(sprintf $token, 'Stamps'), two => bytes(sprintf $token, 'Zeit'));
is($token{two}, slurp_file("$dir/token"), 'a token is kept byte for byte');
for my $name ('one', 'two')
{
	ok(verifies($name, $token{$name}, '-data', file_of($note)), "openssl verifies it: $name");
	ok(!verifies($name, $token{$name}, '-data', file_of($note . "\n")), "and not another text: $name");
}
ok(verifies('one', $token{one}, '-queryfile', file_of($request)), 'with the nonce that was asked for');
ok(!verifies('one', $token{one}, '-queryfile', file_of(request('events'))), 'and no other nonce');
ok(!verifies('two', $token{one}, '-data', file_of($note)), 'nor by another authority');

# As docs/operations.md says it, in shell.
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
	my $script = file_of(<<'END');
printf '%s\n' "$(psql -XAtc "SELECT publish FROM auditchain.checkpoints WHERE log = 'events'::regclass AND tree_size = 2")" > shell.text
psql -XAtc "SELECT encode(token, 'base64') FROM auditchain.timestamps WHERE authority LIKE 'CN=Stamps%'" | base64 -d > shell.tst
END
	is(system("cd $dir && bash -e $script"), 0, 'written by psql');
	is(slurp_file("$dir/shell.text"), $note, 'the published text, by the shell');
	is(slurp_file("$dir/shell.tst"), $token{one}, 'and the token');
}

# What is refused, and for what reason.
sub refuses
{
	my ($what, $detail, $size, $token, %options) = @_;
	my $log = $options{log} // 'events';
	like(add($size, $token, %options),
		qr/ERROR:  this is no time stamp of the checkpoint of $size entries of log "$log"\nDETAIL:  $detail.*\nHINT:  Pass, byte for byte,/,
		"refused: $what");
	return;
}
my $none = 'it is neither a time-stamp response nor a time-stamp token in DER';
refuses('garbage', $none, 2, 'garbage');
refuses('nothing', $none, 2, '');
refuses('the request', $none, 2, $request);
refuses('a truncated response', $none, 2, substr($one, 0, -1));
refuses('a truncated token', $none, 2, substr($token{one}, 0, 100));
refuses('a longer one', $none, 2, $one . "\0");
openssl('ts', '-query', '-sha512', '-data', file_of($note), '-out', "$dir/sha512");
refuses('one of another hash', 'its message imprint is not of SHA-256', 2, answer('one', slurp_file("$dir/sha512")));
openssl('ts', '-query', '-sha256', '-data', file_of("$note\n"), '-out', "$dir/other");
refuses('one of another text', 'its message imprint is that of another text', 2, answer('one', slurp_file("$dir/other")));
refuses("another log's", 'its message imprint is that of another text', 0, $one, log => 'others');
append_to_file("$dir/tsa.cnf", "[ strict ]\nserial = $dir/serial\ndefault_policy = 1.3.6.1.4.1.32473.1\ndigests = sha512\nsigner_digest = sha256\n");
IPC::Run::run([ 'openssl', 'ts', '-reply', '-config', "$dir/tsa.cnf", '-section', 'strict', '-queryfile', file_of($request),
		'-inkey', "$dir/one.tsa.key", '-signer', "$dir/one.tsa.pem", '-out', "$dir/rejection" ], '>', '/dev/null', '2>', '/dev/null');
refuses('a rejection', 'the authority did not grant it: its status is rejection', 2, slurp_file("$dir/rejection"));
like(add(1, $one), qr/ERROR:  log "events" has no checkpoint of 1 entry\nDETAIL:.*\nHINT:/, 'refused: no such checkpoint');

# Another checkpoint's, both ways; the same size in another life is told by the imprint.
$node->safe_psql('postgres', q{INSERT INTO events VALUES (3); CALL auditchain.checkpoint('events')});
refuses("an older checkpoint's", 'its message imprint is that of another text', 3, $one);
my $three = answer('one', request('events'));
refuses("a newer checkpoint's", 'its message imprint is that of another text', 2, $three);
is(add(3, $three), '', 'to its own it is added');
is($node->safe_psql('postgres', q{SELECT count(*) FROM auditchain.timestamps}), '3', 'of all these nothing was kept');

# Rights.
like(add(3, $three, role => 'reader'), qr/must be owner of table events/, 'only the owner adds');
like(add(3, $three, role => 'app'), qr/must be owner of table events/, 'nor may a writer');
is($node->safe_psql('postgres', q{SET ROLE reader; SELECT count(*), length(auditchain.timestamp_request('events')) > 60 FROM auditchain.timestamps}),
	'3|t', 'a reader reads, and may ask');
is($node->safe_psql('postgres', q{SET ROLE app; SELECT count(*) FROM auditchain.timestamps}), '0', 'others do not');
($status, undef, $stderr) = $node->psql('postgres', q{SET ROLE app; SELECT auditchain.timestamp_request('events')});
like($stderr, qr/permission denied for table events/, 'nor may they ask');
($status, undef, $stderr) = $node->psql('postgres', q{SET ROLE reader; SELECT FROM auditchain.checkpoint_timestamp});
like($stderr, qr/permission denied/, 'the table is closed');
($status, undef, $stderr) = $node->psql('postgres', q{BEGIN READ ONLY; SELECT auditchain.timestamp_request('events');
	SELECT auditchain.add_timestamp('events', 3, token) FROM auditchain.timestamps WHERE tree_size = 3});
like($stderr, qr/cannot execute INSERT in a read-only transaction/, 'asking writes nothing, adding does');

# A dump has them; the restored log has a checkpoint of the same size and another name.
my $before = q{SELECT incarnation, tree_size, stamped_at, authority, token, added_at FROM auditchain.timestamps ORDER BY tree_size, token};
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), "$dir/dump" ], 'restore');
is($node->safe_psql('restored', $before), $node->safe_psql('postgres', $before), 'a restored dump has the time stamps');
ok(verifies('one', bytes(sprintf("$token LIMIT 1", 'Stamps'), 'restored'), '-data', file_of(published(2, 'restored'))), 'and their text');
$node->safe_psql('restored', q{CALL auditchain.checkpoint('events')});
my $again = answer('two', bytes(q{SELECT auditchain.timestamp_request('events')}, 'restored'));
$node->safe_psql('restored', sprintf(q{SELECT auditchain.add_timestamp('events', 3, '\x%s')}, unpack('H*', $again)));
is($node->safe_psql('restored', q{SELECT incarnation FROM auditchain.timestamps WHERE tree_size = 3 ORDER BY 1}),
	"1\n2", 'each life has its own');

# Without a signing key the bare checkpoint is stamped.
$node->append_conf('postgresql.conf', "auditchain.signing_key_file = ''");
$node->restart;
$node->safe_psql('postgres', q{INSERT INTO events VALUES (4); CALL auditchain.checkpoint('events')});
my $bare = published(4);
my $root = $node->safe_psql('postgres', q{SELECT encode(root, 'base64') FROM auditchain.checkpoints WHERE tree_size = 4});
my $id = $node->safe_psql('postgres', q{SELECT log_id FROM auditchain.logs WHERE log = 'events'::regclass});
is($bare, "auditchain/$id\n4\n$root\n", 'a checkpoint that is not signed, published');
is(add(4, answer('two', request('events'))), '', 'can be stamped as well');
ok(verifies('two', bytes('SELECT token FROM auditchain.timestamps WHERE tree_size = 4'), '-data', file_of($bare)), 'and verified');

$node->stop;
done_testing();
