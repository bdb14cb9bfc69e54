# archive push: bundles go into an object store, once and locked, whatever fails on the way. The store is
# test/s3/store.py; test/s3/run has a real one, which AUDITCHAIN_S3_ENDPOINT names, and which injects no faults.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use HTTP::Tiny;
use IPC::Run;
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AUDITCHAIN_PROGRAM} or die 'AUDITCHAIN_PROGRAM names the companion program';
my $dir = PostgreSQL::Test::Utils::tempdir();
delete @ENV{ grep { /^AWS_|_proxy$/i } keys %ENV };
$ENV{AWS_ACCESS_KEY_ID} = 'AKIDEXAMPLE';
$ENV{AWS_SECRET_ACCESS_KEY} = 'secret/of+the=test';

my @stores;

sub start_store
{
	my ($at, @certificate) = @_;
	mkdir $at or die "$at: $!";
	push @stores, IPC::Run::start([ 'python3', abs_path("$FindBin::RealBin/../s3/store.py"), $at, @certificate ]);
	for (1 .. 300)
	{
		return slurp_file("$at/port") if -e "$at/port";
		select undef, undef, undef, 0.1;
	}
	die 'the store does not start';
}

END { my $status = $?; $_->kill_kill for @stores; $? = $status }

my $real = $ENV{AUDITCHAIN_S3_ENDPOINT};
our $endpoint = $real // 'http://127.0.0.1:' . start_store("$dir/store");
our $run = time;    # a real store keeps what was pushed before

sub outcome_of
{
	my (@command) = @_;
	IPC::Run::run(\@command, '<', '/dev/null', '>', \my $stdout, '2>', \my $stderr);
	return ($? >> 8, $stdout, $stderr);
}

# Exit code and output, in which no secret may be.
sub push_files
{
	my ($bucket, @arguments) = @_;
	my ($status, $stdout, $stderr) = outcome_of($program, qw(archive push --endpoint), $endpoint, '--bucket', $bucket,
		'--prefix', "audit/run=$run", '--timeout', '2', @arguments);
	note($stdout . $stderr);
	unlike($stdout . $stderr, qr/secret\/of/, 'no secret is shown');
	return ($status, $stdout, $stderr);
}

# A request of our own: its status and body.
sub ask
{
	my ($method, $path, %query) = @_;
	my $now = strftime('%Y%m%dT%H%M%SZ', gmtime);
	my $scope = substr($now, 0, 8) . '/us-east-1/s3/aws4_request';
	my ($host) = $endpoint =~ m{//(.*)};
	my $query = join '&', map { "$_=$query{$_}" } sort keys %query;
	my $hash = sha256_hex('');
	$path =~ s/=/%3D/g;
	my $request = join "\n", $method, $path, $query, "host:$host", "x-amz-content-sha256:$hash", "x-amz-date:$now", '',
	  'host;x-amz-content-sha256;x-amz-date', $hash;
	my $key = "AWS4$ENV{AWS_SECRET_ACCESS_KEY}";
	$key = hmac_sha256($_, $key) for split m{/}, $scope;
	my $signature = hmac_sha256_hex(join("\n", 'AWS4-HMAC-SHA256', $now, $scope, sha256_hex($request)), $key);
	my $response = HTTP::Tiny->new->request(
		$method,
		$endpoint . $path . ($query eq '' ? '' : "?$query"),
		{
			headers => {
				'x-amz-content-sha256' => $hash,
				'x-amz-date' => $now,
				'authorization' => "AWS4-HMAC-SHA256 Credential=$ENV{AWS_ACCESS_KEY_ID}/$scope, "
				  . "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=$signature"
			}
		});
	return ($response->{status}, $response->{content});
}

# What the next requests meet, one each.
sub inject
{
	my (@faults) = @_;
	append_to_file("$dir/store/faults", join '', map { "$_\n" } @faults);
	unlink "$dir/store/requests";
	return;
}

sub methods_seen
{
	return join ' ', slurp_file("$dir/store/requests") =~ /^(\w+)/mg;
}

# A log with four bundles: two of all, one of them encrypted, and two of less.
outcome_of($program, 'keygen', 'signing', "$dir/signing.pem");
outcome_of($program, 'keygen', 'archive', "$dir/archive.key");
my $node = new_node('primary');
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.signing_key_file = '$dir/signing.pem'
auditchain.archive_key_file = '$dir/archive.key'
auditchain.checkpoint_interval = 0
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id serial PRIMARY KEY, occurred_at timestamptz, note text);
	SELECT auditchain.protect('events');
	INSERT INTO events (occurred_at, note)
		SELECT timestamptz '2026-05-01Z' + n * interval '1 minute', sha512(n::text::bytea)::text FROM generate_series(1, 20000) n;
	CALL auditchain.checkpoint('events')});
my $key = $node->safe_psql('postgres', q{SELECT auditchain.verifier_key('events')});
my $log = (split m{/}, $key)[1];
my %bundles = (
	'all.tar' => [],
	'secret.tar' => [ '--key-file', "$dir/archive.key" ],
	'one.tar' => [ '--until', '2026-05-01 10:00Z' ],
	'two.tar' => [ '--since', '2026-05-02 10:00Z' ]);
for my $name (sort keys %bundles)
{
	my ($status) = outcome_of($program, 'bundle', '--dsn', $node->connstr('postgres'), '--log', 'events',
		'--output', "$dir/$name", @{ $bundles{$name} });
	is($status, 0, "bundle: $name");
}
my ($year, $rest) = slurp_file("$dir/all.tar") =~ /"created_at":"(\d{4})-(\d\d-\d\dT\d\d:\d\d:\d\dZ)"/;
my $seven = ($year + 7) . "-$rest";
$seven =~ s/-02-29T/-02-28T/ if $seven =~ /-02-29T/ && ($year + 7) % 4;

sub name_in_store
{
	my ($name) = @_;
	return "audit/run=$run/$log/000000020000-" . sha256_hex(slurp_file("$dir/$name")) . '.tar';
}

# Put there, once.
my $object = name_in_store('all.tar');
my ($status, $stdout, $stderr) = push_files('worm', '--retain', '7 years', '--key', $key, "$dir/all.tar");
is("$status$stderr", '0', 'a bundle is pushed');
is( $stdout,
	"$dir/all.tar: All 20000 audit events verified.\n  pushed to s3://worm/$object\n"
	  . "  locked in mode COMPLIANCE until $seven\n",
	'under a name of its content');
($status, $stdout) = ask('GET', "/worm/$object");
ok($stdout eq slurp_file("$dir/all.tar"), 'and comes back as it was');
append_to_file("$dir/back.tar", $stdout);
is((outcome_of($program, 'verify', '--key', $key, "$dir/back.tar"))[0], 0, 'and is intact');

inject() if !$real;
($status, $stdout) = push_files('worm', '--retain', '7 years', '--json', "$dir/all.tar");
is($status, 0, 'again');
like($stdout, qr/^\{.*"entries":20000,"entries_verified":true,.*"result":"present","retain_until":"$seven",.*\}\n\z/,
	'it is there already');
is(methods_seen(), 'HEAD', 'and one request sees that') if !$real;

($status, $stdout) = push_files('worm', '--retain', '1 day', "$dir/all.tar");
like($stdout, qr/already there.*\n  locked in mode COMPLIANCE until $seven/, 'a shorter lock changes nothing');
($status, $stdout) = push_files('worm', '--retain-until', '2040-02-29', "$dir/all.tar");
is($status, 0, 'a longer one');
like($stdout, qr/already there.*\n  now locked in mode COMPLIANCE until 2040-02-29T00:00:00Z/, 'is set');
($status, $stdout) = push_files('worm', "$dir/all.tar");
like($stdout, qr/already there.*\n  locked in mode COMPLIANCE until 2040-02-29T00:00:00Z/, 'and lasts');

# Nobody deletes it: what a DELETE leaves is behind a marker, and the next push notices that nothing is there.
my ($version) = (push_files('worm', '--json', "$dir/all.tar"))[1] =~ /"version":"([^"]+)"/;
is((ask('DELETE', "/worm/$object", versionId => $version))[0], 403, 'a locked version cannot be deleted');
is((ask('DELETE', "/worm/$object"))[0], 204, 'but be hidden');
is((ask('HEAD', "/worm/$object"))[0], 404, 'from those who ask for the newest');
is((ask('GET', "/worm/$object", versionId => $version))[1], slurp_file("$dir/all.tar"), 'and is there');
($status, $stdout) = push_files('worm', '--retain', '1 day', "$dir/all.tar");
like($stdout, qr/pushed to .*\n  locked/, 'then it is pushed once more');

# Several, and encrypted ones.
($status, $stdout) = push_files('worm', '--retain', '2 months', "$dir/one.tar", "$dir/secret.tar", "$dir/two.tar");
is($status, 0, 'several');
is(scalar(() = $stdout =~ /pushed to/g), 3, 'are pushed');
like($stdout, qr/secret.tar: Sums verified; its 20000 audit events are encrypted, and were not\./, 'one is encrypted');
($status, $stdout) = push_files('worm', '--key-file', "$dir/archive.key", '--key', $key, "$dir/secret.tar");
like($stdout, qr/All 20000 audit events verified\.\n  already there/, 'and verified with its key');
($status, undef, $stderr) = push_files('worm', '--key', $key, "$dir/secret.tar");
is($status, 2, 'whom it is of cannot be seen without');
($status, undef, $stderr) = push_files('worm', '--key-file', "$dir/signing.pem", "$dir/secret.tar");
is($status, 2, 'nor with another');

# The encrypted bundle with another text in it, of the same length, and with sums that agree.
sub forge
{
	my ($file, $change, $time) = @_;
	local $_ = slurp_file("$dir/secret.tar");
	my ($old) = /(\{"format":1,.*\n)/;
	if ($time)
	{
		my $new = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $time);
		s{"created_at":"[^"]+"}{"created_at":"$new"}g;
		for (my $at = 0; (my $size = substr $_, $at + 124, 11) =~ /^[0-7]+$/; $at += 512 + 512 * int((oct($size) + 511) / 512))
		{
			substr($_, $at + 136, 11) = sprintf '%011o', $time;
			substr($_, $at + 148, 8) = ' ' x 8;
			substr($_, $at + 148, 7) = sprintf "%06o\0", unpack '%32C*', substr $_, $at, 512;
		}
	}
	$change->() if $change;
	my ($new) = /(\{"format":1,.*\n)/;
	my ($old_sum, $new_sum) = map { sha256_hex($_) } $old, $new;
	s/$old_sum/$new_sum/;
	append_to_file("$dir/$file", $_);
	return;
}

# What is not intact is not pushed.
my $bytes = slurp_file("$dir/one.tar");
append_to_file("$dir/cut.tar", substr($bytes, 0, length($bytes) - 1024));
my $secret = slurp_file("$dir/secret.tar");
substr($secret, length($secret) / 2, 1) ^= "\1";
append_to_file("$dir/damaged.tar", $secret);
append_to_file("$dir/none.tar", 'nothing');
append_to_file("$dir/big.tar", 'nothing');
truncate "$dir/big.tar", 6 * 2**30 or die $!;
forge('id.tar', sub { s{"id":"....}{"id":"/../}g });
forge('future.tar', undef, time + 7 * 86400);
forge('past.tar', undef, time - 7 * 86400);
inject() if !$real;
($status, undef, $stderr) = push_files('worm', map { "$dir/$_.tar" } qw(cut damaged none absent big id));
is($status, 2, 'what is no whole bundle');
is(scalar(() = $stderr =~ /: not pushed: /g), 6, 'is not pushed');
like($stderr, qr/big.tar: .*5 GiB/, 'nor what is too big');
like($stderr, qr/id.tar: .*the id of its log is none/, 'nor what would have a strange name');
($status, undef, $stderr) = push_files('worm', '--retain', '1 day', map { "$dir/$_.tar" } qw(future past));
is($status, 2, 'what was made at another time');
like($stderr, qr/future.tar: .*which is to come/, 'cannot be from the future');
like($stderr, qr/past.tar: .*its lock would have ended at/, 'nor long past');
my $other = $key =~ s{^auditchain/........}{auditchain/00000000}r;
my ($name, $public) = $other =~ /^(.*)\+[0-9a-f]{8}\+(.*)$/;
require MIME::Base64;
$other = sprintf '%s+%s+%s', $name,
  substr(sha256_hex("$name\n" . MIME::Base64::decode_base64($public)), 0, 8), $public;
($status, undef, $stderr) = push_files('worm', '--key', $other, "$dir/one.tar");
is($status, 1, 'nor what another key has signed');
like($stderr, qr/ALARM: 1 violation, the first is checkpoint_mismatch/, 'which is an alarm');
ok(!-e "$dir/store/requests", 'the store is not even asked') if !$real;

# Without Object Lock.
($status, undef, $stderr) = push_files('plain', '--retain', '7 years', "$dir/one.tar");
is($status, 2, 'a lock in a bucket without');
like($stderr, qr/HTTP 400 InvalidRequest.* needs a bucket that was created with Object Lock/, 'is refused with a hint');
($status, $stdout) = push_files('plain', "$dir/one.tar");
like($stdout, qr/pushed to .*\n  not locked: who may write to the bucket can delete it/, 'without a lock it goes');

# Refusals are not tried again.
for my $case (
	[ 'another secret', { AWS_SECRET_ACCESS_KEY => 'wrong' }, [], qr{HTTP 403 SignatureDoesNotMatch} ],
	[ 'unknown', { AWS_ACCESS_KEY_ID => 'AKIDUNKNOWN' }, [], qr/HTTP 403 InvalidAccessKeyId/ ],
	[ 'no such bucket', {}, [ '--bucket', 'none' ], qr/HTTP 404 NoSuchBucket/ ])
{
	my ($what, $environment, $options, $expected) = @$case;
	local @ENV{ keys %$environment } = values %$environment;
	($status, undef, $stderr) = push_files(@$options ? $options->[1] : 'worm', '--retain', '3 days', "$dir/two.tar", "$dir/back.tar");
	is($status, 2, $what);
	like($stderr, qr/two.tar: not pushed: the store refuses to .*$expected.*\n.*back.tar: not pushed/, "$what: says so");
	unlike($stderr, qr/trying again/, "$what: once");
}

# What cannot be, is said before anything is read.
for my $case (
	[ [ '--retain', '7 fortnights' ], qr/--retain is a period/ ],
	[ [ '--retain', '99999 years' ], qr/--retain is a period/ ],
	[ [ '--retain-until', '2033-02-30' ], qr/--retain-until is a date/ ],
	[ [ '--retain', '1 year', '--retain-until', '2033-01-01' ], qr/excludes/ ],
	[ [ '--retain-until', '2020-01-01' ], qr/would have ended at 2020-01-01T00:00:00Z/ ],
	[ [ '--endpoint', 'http://store.example.com' ], qr/https/ ],
	[ [ '--endpoint', 'ftp://localhost' ], qr/https/ ],
	[ [ '--endpoint', 'https://localhost/path' ], qr/more than a host/ ],
	[ [ '--prefix', 'a//b' ], qr/--prefix/ ],
	[ [ '--prefix', '../b' ], qr/--prefix/ ],
	[ [ '--bucket', 'a/b' ], qr/--bucket/ ],
	[ [ '--credentials', "$dir/absent" ], qr/there is no file/ ],
	[ [ '--ca-file', "$dir/absent", '--endpoint', 'https://localhost:1' ], qr/absent/ ])
{
	my ($arguments, $expected) = @$case;
	my %given = @$arguments;
	$given{'--endpoint'} //= $endpoint;
	$given{'--bucket'} //= 'worm';
	($status, undef, $stderr) = outcome_of($program, qw(archive push --retries 0), %given, "$dir/two.tar");
	is($status, 2, "@$arguments");
	like($stderr, $expected, "@$arguments: says so");
}
{
	local %ENV = %ENV;
	delete $ENV{AWS_SECRET_ACCESS_KEY};
	($status, undef, $stderr) = push_files('worm', "$dir/two.tar");
	is($status, 2, 'no credentials');
	like($stderr, qr/no credentials: set AWS_ACCESS_KEY_ID/, 'says where they come from');
	append_to_file("$dir/credentials",
		"[other]\naws_secret_access_key = wrong\n[default]\n aws_access_key_id = AKIDEXAMPLE \r\naws_secret_access_key=secret/of+the=test\n");
	($status) = push_files('worm', '--credentials', "$dir/credentials", "$dir/two.tar");
	is($status, 0, 'they may be in a file');
}

if ($real)
{
	$node->stop;
	done_testing();
	exit;
}

# Of a session, and with the bucket in the host's name.
{
	local $ENV{AWS_ACCESS_KEY_ID} = 'ASIAEXAMPLE';
	local $ENV{AWS_SECRET_ACCESS_KEY} = 'secret/of+the=session';
	local $ENV{AWS_SESSION_TOKEN} = 'to/ken+==';
	is((push_files('worm', "$dir/two.tar"))[0], 0, 'temporary credentials');
	local $ENV{AWS_SESSION_TOKEN} = 'other';
	is((push_files('worm', "$dir/two.tar"))[0], 2, 'which have expired');
}
{
	local $endpoint = $endpoint =~ s/127.0.0.1/localhost/r;
	($status, $stdout) = push_files('worm', '--virtual-host', "$dir/two.tar");
	like($stdout, qr/already there/, 'the bucket in the name of the host');
	($status, undef, $stderr) = push_files('worm', '--region', 'eu-west-9', "$dir/two.tar");
	is($status, 2, 'another region');
}

# Whatever fails on the way, it is there once, or an error says that it is not.
my $count = 0;
for my $case (
	[ 'passing errors', [ 'HEAD 503', 'HEAD 500', 'PUT 502', 'PUT 504' ], 'pushed to', 'HEAD HEAD HEAD PUT PUT PUT HEAD' ],
	[ 'a connection cut while sending', ['PUT cut'], 'pushed to', 'HEAD PUT PUT HEAD' ],
	[ 'a lost answer', ['PUT lose'], 'already there', 'HEAD PUT PUT HEAD' ],
	[ 'a store that hangs', ['PUT hang'], 'pushed to', 'HEAD PUT PUT HEAD' ],
	[ 'no right to list', ['HEAD 403'], 'pushed to', 'HEAD PUT HEAD' ],
	[ 'another was faster', [ 'HEAD 404', 'PUT lose' ], 'already there', 'HEAD PUT PUT HEAD' ],
	[ 'a store without checksums', [ 'HEAD 404', 'HEAD plain', 'GET cut' ], 'pushed to', 'HEAD PUT HEAD GET GET' ],
	[ 'a lock that came late', ['PUT ignore'], 'pushed to', 'HEAD PUT HEAD PUT HEAD' ])
{
	my ($what, $faults, $expected, $requests) = @$case;
	local $run = 'fault-' . ++$count;
	inject(@$faults);
	($status, $stdout) = push_files('worm', '--retain', '7 years', "$dir/two.tar");
	is($status, 0, $what);
	like($stdout, qr/$expected.*\n  locked in mode COMPLIANCE/, "$what: is there");
	is(methods_seen(), $requests, "$what: no request too many");
}
for my $case (
	[ 'errors that last', ['PUT 503', 'PUT 503', 'PUT 503' ], 2, qr/HTTP 503 Injected: as the test wants it, 3 times/, 'HEAD PUT PUT PUT' ],
	[ 'what the store has not got', ['PUT 501'], 2, qr/HTTP 501/, 'HEAD PUT' ],
	[ 'no right to read', [ 'HEAD 404', 'HEAD 403' ], 2, qr/HTTP 403\. .* need the rights s3:GetObject and/, 'HEAD PUT HEAD' ],
	[ 'a redirection', ['HEAD 301'], 2, qr/HTTP 301.*another region/, 'HEAD' ],
	[ 'other bytes', ['PUT corrupt'], 1, qr/ALARM: the store has other bytes as .*, version v0/, 'HEAD PUT HEAD' ],
	[ 'other bytes, and no checksum', [ 'HEAD 404', 'PUT corrupt', 'HEAD plain' ], 1, qr/ALARM: the store has other bytes/, 'HEAD PUT HEAD GET' ],
	[ 'bytes that went away', [ 'HEAD 404', 'HEAD 404' ], 1, qr/ALARM: the store has taken .* and does not have it/, 'HEAD PUT HEAD' ],
	[ 'a lock that never comes', [ 'PUT ignore', 'PUT ignore' ], 1, qr/ALARM: .* does not say that it is locked until/, 'HEAD PUT HEAD PUT HEAD' ])
{
	my ($what, $faults, $expected, $message, $requests) = @$case;
	local $run = 'fault-' . ++$count;
	inject(@$faults);
	($status, undef, $stderr) = push_files('worm', '--retain', '7 years', '--retries', '2', "$dir/two.tar");
	is($status, $expected, $what);
	like($stderr, $message, "$what: says so");
	is(methods_seen(), $requests, "$what: no request too many");
}

# A store that is not there ends it all; the next file is not tried.
{
	local $endpoint = 'http://127.0.0.1:1';
	($status, undef, $stderr) = push_files('worm', '--retries', '1', "$dir/one.tar", "$dir/two.tar");
	is($status, 2, 'nobody listens');
	like($stderr, qr/trying again\n.*one.tar: not pushed: .*, 2 times\nauditchain: the store does not answer/, 'says so once');
}

# TLS, with a certificate that must be trusted.
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=store -addext subjectAltName=IP:127.0.0.1 "
	  . "-keyout $dir/tls.key -out $dir/tls.crt 2>$dir/openssl.log && cat $dir/tls.key $dir/tls.crt >$dir/tls.pem") == 0 or die;
{
	local $endpoint = 'https://127.0.0.1:' . start_store("$dir/tls", "$dir/tls.pem");
	($status, undef, $stderr) = push_files('worm', "$dir/two.tar");
	is($status, 2, 'a certificate that nobody trusts');
	like($stderr, qr/certificate/, 'is why');
	unlike($stderr, qr/trying again/, 'at once');
	ok(!-e "$dir/tls/requests", 'and no request is sent');
	($status, $stdout) = push_files('worm', '--ca-file', "$dir/tls.crt", '--retain', '7 years', "$dir/two.tar");
	is($status, 0, 'one that --ca-file has signed');
	local $endpoint = $endpoint =~ s/127.0.0.1/localhost/r;
	is((push_files('worm', '--ca-file', "$dir/tls.crt", "$dir/two.tar"))[0], 2, 'which is for this host only');
}

$node->stop;
done_testing();
