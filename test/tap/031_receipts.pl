# Receipts end to end: each is what RFC 2104 and RFC 5869 say, and finds a chain that somebody without
# the key computed anew as a whole; they survive rotation, dump, restore and replication; and without
# the key nothing is written or verified in silence.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my @secrets = map { my $secret = `openssl rand -hex 32`; chomp $secret; $secret } 1 .. 3;

sub write_secrets
{
	my ($file, @lines) = @_;
	unlink $file;
	append_to_file($file, join("\n", @lines, ''));
	chmod 0600, $file or die $!;
	return;
}

# A server with the file of its receipt key
sub start_keyed
{
	my ($name, $file, %init) = @_;
	my $node = new_node($name, %init);
	$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0 # checkpoints come when the test says
auditchain.receipt_key_file = '$file'
});
	$node->start;
	return $node;
}

sub use_secrets
{
	my ($node, $file, @lines) = @_;
	write_secrets($file, @lines);
	$node->safe_psql('postgres', 'SELECT auditchain.reload_keys()');
	return;
}

# What a receipt has to be, with nothing of auditchain's but the checksum
sub expected_receipt
{
	my ($secret, $log_id, $key, $lane, $position, $checksum) = @_;
	utf8::encode($key) if utf8::is_utf8($key);
	my $extracted = hmac_sha256(pack('H*', $secret), "\0" x 32);
	my $derived = hmac_sha256("$key\x01", $extracted);
	return hmac_sha256_hex("auditchain/v1\n$log_id\n$key/$lane\n$position\n$checksum\n", $derived);
}

sub wrong_receipts
{
	my ($node, $log, $secret) = @_;
	my @rows = split /\n/, $node->safe_psql(
		'postgres', qq{
		SELECT encode(receipt, 'hex'), l.log_id, key, lane, chain_position, encode(checksum, 'hex')
		FROM $log e JOIN auditchain.chain c USING (chain_id) JOIN auditchain.log l ON l.relation = '$log'::regclass});
	return scalar grep {
		my ($receipt, @place) = split /\|/;
		$receipt ne expected_receipt($secret, @place)
	} @rows;
}

sub verification
{
	my ($node, $log) = @_;
	return $node->safe_psql('postgres', "SELECT intact, violations, message FROM auditchain.verify('$log')");
}

sub violations
{
	my ($node, $log) = @_;
	return $node->safe_psql('postgres',
		qq{SELECT chain || ' ' || "position" || ' ' || kind FROM auditchain.violations('$log')}) =~ s/\n/, /gr;
}

my $key_file = "$dir/receipt.key";
write_secrets($key_file, $secrets[0]);
my $node = start_keyed('receipts', $key_file, allows_streaming => 'logical');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->restart;

# Every way in: rows that are there already, INSERT, COPY, savepoints, partitions, prepared transactions

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id int PRIMARY KEY, tenant text, note text);
	INSERT INTO events VALUES (1, 'acme', 'before'), (2, 'Café "Zoë"', 'before'), (3, NULL, 'before');
	SELECT auditchain.protect('events', chain_by => '{tenant}', receipts => true);
	INSERT INTO events VALUES (4, 'acme', 'a'), (5, 'new', 'b'), (6, 'acme', 'c');
	COPY events (id, tenant, note) FROM PROGRAM 'seq 7 20 | sed "s/$/,acme,copied/"' (FORMAT csv);
	BEGIN;
	INSERT INTO events VALUES (21, 'acme', 'x');
	SAVEPOINT s;
	INSERT INTO events VALUES (22, 'acme', 'y');
	ROLLBACK TO s;
	INSERT INTO events VALUES (23, 'acme', 'z');
	COMMIT;
	BEGIN;
	INSERT INTO events VALUES (24, 'acme', 'prepared');
	PREPARE TRANSACTION 'p';
	COMMIT PREPARED 'p';
	INSERT INTO events SELECT i, 'tenant ' || i, 'many keys' FROM generate_series(100, 400) i;
	CREATE TABLE parted (id int, region text) PARTITION BY LIST (region);
	CREATE TABLE parted_a (region text, id int);
	ALTER TABLE parted ATTACH PARTITION parted_a FOR VALUES IN ('a');
	SELECT auditchain.protect('parted', receipts => true);
	CREATE TABLE parted_b PARTITION OF parted FOR VALUES IN ('b');
	INSERT INTO parted VALUES (1, 'a'), (2, 'b'), (3, 'a');
	INSERT INTO parted_b VALUES (4, 'b');
});
is(wrong_receipts($node, $_, $secrets[0]), 0, "receipts of $_ are as RFC 2104 and 5869 say")
  for 'events', 'parted';
isnt(wrong_receipts($node, 'events', $secrets[1]), 0, 'they are not those of another secret');
my $by_openssl = q{
	key=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:$1 -kdfopt info:"$3" HKDF | tr -d ':\n')
	printf 'auditchain/v1\n%s\n%s\n%s\n%s\n' "$2" "$3/$4" "$5" "$6" |
		openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -r | cut -d ' ' -f 1};
my ($of_openssl, @place) = split /\|/, $node->safe_psql('postgres', q{
	SELECT encode(receipt, 'hex'), l.log_id, key, lane, chain_position, encode(checksum, 'hex')
	FROM events e JOIN auditchain.chain c USING (chain_id) JOIN auditchain.log l USING (log_id) WHERE id = 2});
($by_openssl) = run_command([ 'bash', '-c', $by_openssl, '-', $secrets[0], @place ]);
is($by_openssl, $of_openssl, 'and as the commands of docs/format.md compute them');
is(verification($node, 'events'), 't|0|All 324 audit events verified. Chain integrity intact.', 'receipts verify');
$node->safe_psql('postgres', 'ALTER TABLE events SET (parallel_workers = 2)');
is(verification($node, 'events'), 't|0|All 324 audit events verified. Chain integrity intact.', 'in parallel, too');
is(verification($node, 'parted'), 't|0|All 4 audit events verified. Chain integrity intact.', 'with partitions too');
is( $node->safe_psql('postgres', q{SELECT message FROM auditchain.verify_entry('parted', (SELECT min(chain_id) FROM parted), 2)}),
	'Audit event verified. It follows the one before it. Its receipt is valid.',
	'an entry verifies with its receipt');
is( $node->safe_psql('postgres', q{
	SELECT bool_and(auditchain.verify_receipt('events', chain_id, chain_position)) FROM events}),
	't', 'each entry verifies by its receipt alone');
is( $node->safe_psql('postgres', q{
	SELECT auditchain.verify_receipt('events', chain_id, 99), auditchain.verify_receipt('parted', chain_id, 1)
	FROM events WHERE id = 1}),
	'f|f', 'an entry that is not there does not');
is($node->safe_psql('postgres', q{SELECT log, receipts FROM auditchain.logs ORDER BY 1}), "events|t\nparted|t",
	'the view logs tells of receipts');
is($node->safe_psql('postgres', q{SELECT auditchain.payload(e) FROM events e WHERE id = 4}),
	'{"id":4,"note":"a","tenant":"acme"}', 'a receipt is in no payload');
unlike($node->safe_psql('postgres', q{SELECT string_agg(l, '') FROM auditchain.export('events', 'jsonl') l}),
	qr/receipt/, 'nor in an export');

# Guarded like the other columns

sub refused
{
	my ($sql, $error, $name) = @_;
	my ($status, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	like($stderr, qr/$error/s, $name);
	return;
}

refused(q{INSERT INTO events (id, receipt) VALUES (500, '\x00')},
	q{LC007: column "receipt" of log "events" is written by auditchain only.*checksum and receipt out},
	'a receipt cannot be given');
refused('ALTER TABLE events DROP COLUMN receipt', 'LC002', 'its column cannot be dropped');
refused('ALTER TABLE events RENAME COLUMN receipt TO r', 'LC002', 'nor renamed');
refused(q{SELECT auditchain.protect('parted_a', receipts => true)}, 'LC004|LC005', 'a partition is no log');
$node->safe_psql('postgres', q{
	CREATE TABLE bare (id int PRIMARY KEY);
	SELECT auditchain.protect('bare');
	CREATE TABLE plain (id int PRIMARY KEY)});
refused(q{SELECT auditchain.verify_receipt('bare', 1, 1)},
	'LC006: log "bare" has no receipts', 'a log without receipts has none to verify');

# Tampering by a superuser who knows the format and has no key

$node->safe_psql(
	'postgres', q{
	CREATE TABLE without (id int PRIMARY KEY, tenant text, note text);
	CREATE TABLE forged (LIKE without INCLUDING ALL);
	SELECT auditchain.protect('without', lanes => 1), auditchain.protect('forged', lanes => 1, receipts => true);
	ALTER TABLE forged SET (parallel_workers = 2);
	INSERT INTO without SELECT i, 'a', 'note ' || i FROM generate_series(1, 9) i;
	INSERT INTO forged SELECT i, 'a', 'note ' || i FROM generate_series(1, 9) i;
	CREATE PROCEDURE tamper(log text, deed text) LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('ALTER TABLE %I DISABLE TRIGGER ALL', log);
		EXECUTE replace(deed, 'LOG', log);
		EXECUTE format('ALTER TABLE %1$I ENABLE ALWAYS TRIGGER zz_auditchain_chain;
			ALTER TABLE %1$I ENABLE ALWAYS TRIGGER auditchain_guard_row;
			ALTER TABLE %1$I ENABLE ALWAYS TRIGGER auditchain_guard_statement', log);
	END $$;
	CREATE PROCEDURE recompute(log text, first bigint) LANGUAGE plpgsql AS $$
	DECLARE
		place bigint;
	BEGIN
		EXECUTE format('SELECT max(chain_position) FROM %I', log) INTO place;
		FOR place IN SELECT generate_series(first, place) LOOP
			EXECUTE format('UPDATE %1$I e SET previous_checksum = coalesce((SELECT checksum FROM %1$I
				WHERE chain_position = $1 - 1), decode(repeat(%2$L, 32), %3$L)) WHERE chain_position = $1', log, '00', 'hex')
				USING place;
			EXECUTE format('UPDATE %I e SET checksum = sha256(convert_to(
				encode(previous_checksum, %L) || auditchain.payload(e), %L)) WHERE chain_position = $1', log, 'hex', 'UTF8')
				USING place;
		END LOOP;
	END $$});

# Does a deed, asks both logs, and takes it back
sub check_tampering
{
	my ($deed, $without, $with, $name) = @_;
	for ([ 'without', $without ], [ 'forged', $with ])
	{
		my ($log, $expected) = @$_;
		next unless defined $expected;
		my $found = $node->safe_psql(
			'postgres', qq{
			BEGIN;
			CALL tamper('$log', \$deed\$$deed\$deed\$);
			SELECT chain || ' ' || "position" || ' ' || kind FROM auditchain.violations('$log');
			ROLLBACK});
		is($found =~ s/\n/, /gr, $expected, "$name: $log");
	}
	return;
}

check_tampering(q{UPDATE LOG SET note = 'forged' WHERE id = 4; CALL recompute('LOG', 4)},
	'', '[]/0 4 receipt_invalid', 'the rest of a chain computed anew');
check_tampering(q{UPDATE LOG SET note = 'forged'; CALL recompute('LOG', 1)},
	'', '[]/0 1 receipt_invalid', 'a whole chain computed anew');
check_tampering(q{DELETE FROM LOG WHERE id = 5; UPDATE LOG SET chain_position = chain_position - 1 WHERE id > 5;
	CALL recompute('LOG', 5)},
	'', '[]/0 5 receipt_invalid', 'an entry taken out of a chain computed anew');
check_tampering(q{UPDATE LOG SET note = 'forged' WHERE id = 9; CALL recompute('LOG', 9)},
	'', '[]/0 9 receipt_invalid', 'the newest entry forged');
check_tampering(q{UPDATE LOG SET note = 'forged' WHERE id = 5;
	UPDATE LOG e SET checksum = sha256(convert_to(encode(previous_checksum, 'hex') || auditchain.payload(e), 'UTF8')) WHERE id = 5},
	'[]/0 6 link_broken', '[]/0 5 receipt_invalid', 'an entry forged and its follower left');
check_tampering(q{UPDATE LOG SET note = 'edited' WHERE id = 5},
	'[]/0 5 content_modified', '[]/0 5 content_modified', 'an edit is reported once');
check_tampering(q{UPDATE LOG SET receipt = sha256('x') WHERE id = 5}, undef, '[]/0 5 receipt_invalid', 'a receipt edited');
check_tampering(q{UPDATE LOG SET receipt = 'short' WHERE id = 5}, undef, '[]/0 5 receipt_invalid', 'a receipt cut off');
check_tampering(q{ALTER TABLE LOG ALTER receipt DROP NOT NULL; UPDATE LOG SET receipt = NULL WHERE id IN (5, 7)},
	undef, '[]/0 5 receipt_invalid, []/0 7 receipt_invalid', 'receipts removed');
check_tampering(q{UPDATE LOG e SET receipt = o.receipt FROM LOG o WHERE e.id + o.id = 9 AND e.id IN (4, 5)},
	undef, '[]/0 4 receipt_invalid', 'receipts of neighbours exchanged');
check_tampering(q{DELETE FROM LOG WHERE id = 5}, '[]/0 5 entry_missing', '[]/0 5 entry_missing', 'an entry deleted');
is( $node->safe_psql('postgres', q{
	BEGIN;
	CALL tamper('forged', $$UPDATE LOG SET note = 'forged' WHERE id = 4; CALL recompute('LOG', 4)$$);
	SELECT total_events, verified_events, violations, message FROM auditchain.verify('forged');
	SELECT message FROM auditchain.verify_entry('forged', (SELECT min(chain_id) FROM forged), 6);
	SELECT string_agg(auditchain.verify_receipt('forged', chain_id, chain_position)::text, ' ' ORDER BY id) FROM forged;
	ROLLBACK}) =~ s/its checksum was.*|: their checksums.*//gr,
	"9|3|1|Chain integrity violated: 1 violation in 9 audit events. First: receipt_invalid at position 4 of chain []/0: "
	  . "entry id = 4 and the 5 behind it, up to position 9, have receipts that no key of this server makes\n"
	  . "Chain integrity violated: receipt_invalid at position 6 of chain []/0: "
	  . "entry id = 6 has a receipt that no key of this server makes: \n"
	  . 'true true true false false false false false false',
	'what verification says of it');
is( $node->safe_psql('postgres', q{
	BEGIN;
	CALL tamper('forged', $$UPDATE LOG SET note = 'edited' WHERE id = 4$$);
	SELECT string_agg(auditchain.verify_receipt('forged', chain_id, chain_position)::text, ' ' ORDER BY id) FROM forged;
	ROLLBACK}), 'true true true false true true true true true', 'a receipt vouches for the content');

# verify_since() checks the receipts of what is newer than its checkpoint; what is older has the checkpoint
# to vouch for it, and its receipts are left alone.
sub since
{
	my ($deed) = @_;
	return $node->safe_psql(
		'postgres', qq{
		BEGIN;
		CALL auditchain.checkpoint('forged');
		INSERT INTO forged SELECT i, 'a', 'newer ' || i FROM generate_series(10, 15) i;
		CALL tamper('forged', \$deed\$$deed\$deed\$);
		SELECT intact, total_events, violations, message FROM auditchain.verify_since('forged', 9);
		ROLLBACK}) =~ s/its checksum was.*|: their checksums.*//gr;
}
is(since('SELECT 1'), 't|6|0|All 6 audit events since the checkpoint of 9 entries verified. Chain integrity intact.',
	'receipts since a checkpoint');
is( since(q{UPDATE LOG SET note = 'forged' WHERE id = 13; CALL recompute('LOG', 13)}),
	'f|6|1|Chain integrity violated: 1 violation since the checkpoint of 9 entries. First: receipt_invalid at position 13 '
	  . 'of chain []/0: entry id = 13 has a receipt that no key of this server makes: ',
	'one forged since, and those behind it with it');
is(since(q{UPDATE LOG SET receipt = sha256('x') WHERE id = 10}) =~ s/: entry.*//r,
	'f|6|1|Chain integrity violated: 1 violation since the checkpoint of 9 entries. First: receipt_invalid at position 10 of chain []/0',
	'the first behind the checkpoint');
is(since(q{UPDATE LOG SET receipt = sha256('x') WHERE id IN (4, 9)}),
	't|6|0|All 6 audit events since the checkpoint of 9 entries verified. Chain integrity intact.',
	'receipts of what is older are not looked at');

# Rotation

use_secrets($node, $key_file, $secrets[1], $secrets[0]);
$node->safe_psql('postgres', q{INSERT INTO forged VALUES (10, 'a', 'after rotation'), (11, 'a', 'and again')});
is(verification($node, 'forged'), 't|0|All 11 audit events verified. Chain integrity intact.',
	'receipts of a retired secret and of the new one verify');
is( $node->safe_psql('postgres', q{SELECT encode(receipt, 'hex') = '} . expected_receipt($secrets[1],
		split(/\|/, $node->safe_psql('postgres', q{SELECT log_id, '[]', 0, chain_position, encode(checksum, 'hex')
			FROM forged JOIN auditchain.chain USING (chain_id) WHERE id = 11}))) . q{' FROM forged WHERE id = 11}),
	't', 'the new secret makes the new receipts');
use_secrets($node, $key_file, $secrets[1]);
is(violations($node, 'forged'), '[]/0 1 receipt_invalid', 'without the retired secret the old receipts are one violation');
use_secrets($node, $key_file, $secrets[2]);
is(violations($node, 'forged'), '[]/0 1 receipt_invalid', 'with another key all receipts are');
use_secrets($node, $key_file, $secrets[1], $secrets[0]);

# A session that has derived keys follows a reload

my $session = $node->background_psql('postgres');
$session->query_safe(q{INSERT INTO forged VALUES (12, 'a', 'old secret')});
use_secrets($node, $key_file, $secrets[2], $secrets[1], $secrets[0]);
$session->query_safe(q{INSERT INTO forged VALUES (13, 'a', 'new secret')});
use_secrets($node, $key_file, $secrets[1], $secrets[0]);
is($session->query_safe(q{SELECT string_agg("position"::text, ' ') FROM auditchain.violations('forged')}),
	'13', 'a session uses the keys that the server has now');
$session->quit;
use_secrets($node, $key_file, $secrets[2], $secrets[1], $secrets[0]);

# A standby, a dump

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(verification($standby, 'forged'), 't|0|All 13 audit events verified. Chain integrity intact.',
	'a standby with the key verifies receipts');
$standby->stop;

my $restored_key = "$dir/restored.key";
write_secrets($restored_key, @secrets[2, 1, 0]);
my $restored = start_keyed('restored', $restored_key);
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", $node->connstr('postgres') ], 'dump');
$restored->command_ok([ 'pg_restore', '-d', $restored->connstr('postgres'), "$dir/dump" ], 'restore');
is(verification($restored, 'forged'), 't|0|All 13 audit events verified. Chain integrity intact.',
	'restored receipts verify elsewhere');
$restored->safe_psql('postgres', q{INSERT INTO forged VALUES (14, 'a', 'restored'); INSERT INTO parted VALUES (5, 'a')});
is(violations($restored, $_), '', "the restored $_ goes on") for 'forged', 'parted';

# Without the key nothing is written, and verification says what it did not do

unlink $restored_key;
$restored->restart;
for my $insert (
	q{INSERT INTO forged VALUES (15, 'a', 'x')},
	q{COPY forged (id, tenant, note) FROM PROGRAM 'echo 15,a,x' (FORMAT csv)},
	q{INSERT INTO parted VALUES (6, 'b')})
{
	my ($status, undef, $stderr) = $restored->psql('postgres', "\\set VERBOSITY verbose\n$insert");
	like($stderr, qr/ERROR:  LC012: log "\w+" has receipts, and the server has no receipt key\nDETAIL:  File ".*": No such file.*HINT:  .*reload_keys/s,
		"$insert fails");
}
my ($status, $stdout, $stderr) = $restored->psql('postgres', q{SELECT intact, message FROM auditchain.verify('forged')});
is($stdout, 't|All 14 audit events verified. Chain integrity intact. Receipts were not checked: the server has no receipt key.',
	'the message says that receipts were not checked');
like($stderr, qr/WARNING:  receipts of log "forged" were not checked/, 'and so does a warning');
is($restored->safe_psql('postgres', q{SELECT message FROM auditchain.verify_entry('forged', (SELECT min(chain_id) FROM forged), 6)}),
	'Audit event verified. It follows the one before it. Receipts were not checked: the server has no receipt key.',
	'of one entry, too');
($status, $stdout, $stderr) = $restored->psql('postgres', q{SELECT auditchain.verify_receipt('forged', 1, 1)});
like($stderr, qr/ERROR:  log "forged" has receipts, and the server has no receipt key/, 'a receipt cannot be verified');
($status, $stdout, $stderr) = $restored->psql('postgres',
	q{CREATE TABLE later (id int PRIMARY KEY); SELECT auditchain.protect('later', receipts => true)});
like($stderr, qr/WARNING:  log "later" has receipts, and the server has no receipt key/, 'an empty table is protected with a warning');
($status, $stdout, $stderr) = $restored->psql('postgres',
	q{CREATE TABLE full_table AS SELECT 1 AS id; SELECT auditchain.protect('full_table', order_by => '{id}', receipts => true)});
like($stderr, qr/ERROR:  log "full_table" has receipts, and the server has no receipt key/, 'one with entries is not');
use_secrets($restored, $restored_key, $secrets[0]);
$restored->safe_psql('postgres', 'INSERT INTO later VALUES (1)');
is(verification($restored, 'later'), 't|0|All 1 audit events verified. Chain integrity intact.', 'with a key it goes on');
$restored->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$restored->restart;
($status, $stdout, $stderr) = $restored->psql('postgres', 'INSERT INTO later VALUES (2)');
like($stderr, qr/no receipt key.*not preloaded/s, 'without preloading there is no key');
$restored->stop;

# Release, and protection again; a column "receipt" of the user's own

$node->safe_psql(
	'postgres', q{
	SELECT auditchain.release('without', 'test'), auditchain.release('forged', 'test');
	INSERT INTO forged VALUES (99, 'a', 'in no chain')});
like(verification($node, 'forged'), qr/^t\|0\|All 13 audit events verified. Chain integrity intact. 13 of them sealed/,
	'a released log verifies with its receipts');
$node->safe_psql(
	'postgres', q{
	ALTER TABLE forged DROP chain_id, DROP chain_position, DROP previous_checksum, DROP checksum;
	ALTER TABLE without DROP chain_id, DROP chain_position, DROP previous_checksum, DROP checksum;
	SELECT auditchain.protect('without', receipts => true)});
refused(q{SELECT auditchain.protect('forged', receipts => true)},
	'LC005: cannot protect "forged".*It has a column "receipt" already', 'the name is taken');
$node->safe_psql('postgres', q{
	SELECT auditchain.protect('forged');
	INSERT INTO forged (id, receipt) VALUES (100, '\xab'), (101, NULL);
	ALTER TABLE forged RENAME receipt TO proof});
is($node->safe_psql('postgres', q{SELECT auditchain.payload(e) FROM forged e WHERE id = 100}),
	'{"id":100,"receipt":"ab"}', 'without receipts a column of that name is an ordinary one');
is(violations($node, $_), '', "$_ is whole under its new protection") for 'forged', 'without';
is(wrong_receipts($node, 'without', $secrets[2]), 0, 'receipts came with it');
$node->safe_psql('postgres', q{ALTER TABLE plain ADD COLUMN receipt bytea; SELECT auditchain.protect('plain');
	INSERT INTO plain VALUES (1, '\x01'); ALTER TABLE plain ADD COLUMN more int; INSERT INTO plain (id, more) VALUES (2, 2)});
is(violations($node, 'plain'), '', 'a table with such a column can be protected');

# Logical replication: the subscriber's log has receipts of its own

my $subscriber_key = "$dir/subscriber.key";
write_secrets($subscriber_key, $secrets[0]);
my $subscriber = start_keyed('subscriber', $subscriber_key);
my $schema = q{
	CREATE TABLE copied (id int PRIMARY KEY, tenant text);
	SELECT auditchain.protect('copied', chain_by => '{tenant}', receipts => true);};
$subscriber->safe_psql('postgres', "CREATE EXTENSION auditchain; $schema");
$node->safe_psql('postgres', "$schema
	INSERT INTO copied SELECT i, 'tenant ' || i % 3 FROM generate_series(1, 30) i;
	CREATE PUBLICATION log FOR TABLE copied");
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION log CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION log");
$subscriber->wait_for_subscription_sync($node, 'log');
$node->safe_psql('postgres', q{INSERT INTO copied SELECT i, 'tenant ' || i % 5 FROM generate_series(31, 60) i});
$node->wait_for_catchup('log');
is(verification($subscriber, 'copied'), 't|0|All 60 audit events verified. Chain integrity intact.',
	'a subscriber verifies its receipts');
is(wrong_receipts($subscriber, 'copied', $secrets[0]), 0, 'they are made with its own key');
is(violations($node, 'copied'), '', 'and the publisher its own');
unlink $subscriber_key;
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION log DISABLE');
$subscriber->restart;
my $from = -s $subscriber->logfile;
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION log ENABLE');
$node->safe_psql('postgres', q{INSERT INTO copied VALUES (61, 'tenant 1')});
ok($subscriber->wait_for_log(qr/log "copied" has receipts, and the server has no receipt key/, $from),
	'without its key a subscriber takes no entries');
use_secrets($subscriber, $subscriber_key, $secrets[0]);
$node->wait_for_catchup('log');
is(verification($subscriber, 'copied'), 't|0|All 61 audit events verified. Chain integrity intact.',
	'with the key it goes on');

$_->stop for $subscriber, $node;
for my $server ($node, $restored, $subscriber, $standby)
{
	my $log = slurp_file($server->logfile);
	is(scalar(grep { $log =~ /$_/i } @secrets), 0, 'no secret is in the log of ' . $server->name);
}

done_testing();
