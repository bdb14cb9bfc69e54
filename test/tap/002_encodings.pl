# Payloads are UTF-8 whatever the encoding of the database, and the same entry has the same checksum
# in all of them.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Test::More;

my $node = start_node('encodings');
my $checksum;
for my $encoding ('UTF8', 'LATIN1', 'EUC_JP', 'SQL_ASCII')
{
	my $database = lc $encoding;
	$node->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	# A sign that every encoding here has
	$node->safe_psql(
		$database, q{
		SET client_encoding = 'UTF8';
		CREATE EXTENSION auditchain;
		CREATE TYPE pair AS ("§" text, a int);
		CREATE TABLE events (id int PRIMARY KEY, "§" text, pair pair, j jsonb, je json, t text[]);
		INSERT INTO events VALUES (1, '§', ('§', 1), '{"§": "§"}', '"§"', '{§}');
		SELECT auditchain.protect('events', chain_by => ARRAY['§']::name[]);
		INSERT INTO events VALUES (2, '§', ('§', 1), '{"§": "§"}', '"§"', '{§}');
	});
	is( $node->safe_psql(
			$database,
			q{SET client_encoding = 'UTF8';
			SELECT auditchain.payload(e) FROM events e WHERE id = 2}),
		'{"id":2,"j":{"§":"§"},"je":"\"§\"","pair":{"a":1,"§":"§"},"t":["§"],"§":"§"}',
		"$encoding: payload");
	is(chains_of($node, $database, 'events'), '2 entries, 1 chains, 0 broken', "$encoding: chain");
	is($node->safe_psql($database, q{SET client_encoding = 'UTF8'; SELECT key FROM auditchain.chain}),
		'["§"]', "$encoding: key");
	my $found =
	  $node->safe_psql($database, q{SELECT encode(checksum, 'hex') FROM events WHERE id = 2});
	$checksum //= $found;
	is($found, $checksum, "$encoding: same checksum as everywhere");
	is($node->safe_psql($database, q{SELECT intact FROM auditchain.verify('events')}),
		't', "$encoding: verifies");

	# A column added later is left out where it equals its default, in any encoding
	$node->safe_psql(
		$database, q{
		SET client_encoding = 'UTF8';
		ALTER TABLE events ADD COLUMN sign text DEFAULT '§';
		INSERT INTO events (id, "§", sign) VALUES (3, '§', DEFAULT), (4, '§', 'x'), (5, '§', NULL);
	});
	is(chains_of($node, $database, 'events'),
		'5 entries, 1 chains, 0 broken', "$encoding: chain with an added column");
	is( $node->safe_psql(
			$database,
			q{SET client_encoding = 'UTF8';
			SELECT auditchain.payload(e) FROM events e WHERE id > 2 ORDER BY id}),
		qq({"id":3,"§":"§"}\n{"id":4,"sign":"x","§":"§"}\n{"id":5,"sign":null,"§":"§"}),
		"$encoding: payloads with an added column");

	# Chains are named in the encoding of the database
	$node->safe_psql(
		$database, q{
		SET client_encoding = 'UTF8';
		CREATE TABLE cut ("§" text);
		SELECT auditchain.protect('cut', chain_by => ARRAY['§']::name[]);
		INSERT INTO cut VALUES ('§'), ('§');
		CALL auditchain.checkpoint('cut');
		ALTER TABLE cut DISABLE TRIGGER ALL;
		DELETE FROM cut WHERE chain_position = 2;
	});
	like(
		$node->safe_psql(
			$database, qq{SET client_encoding = 'UTF8'; SELECT message FROM auditchain.$_}),
		qr{tail_missing at position 2 of chain \["§"\]/0: },
		"$encoding: $_ names the chain")
	  for "verify('cut')", "verify_head('cut')", "verify_since('cut', 2)";
}

# Bytes that are no UTF-8 have no payload
for my $statement (
	q{INSERT INTO events (id, "§") VALUES (9, E'\xff')},
	q{INSERT INTO events (id, "§", je) VALUES (9, 'x', E'"\xc3"')},
	q{INSERT INTO events (id, "§", t) VALUES (9, 'x', ARRAY[E'\xff'])})
{
	my ($status, undef, $stderr) = $node->psql('sql_ascii', $statement);
	like($stderr, qr/invalid byte sequence for encoding "UTF8"/, "SQL_ASCII: $statement");
}
$node->safe_psql('sql_ascii', q{INSERT INTO events (id, "§") VALUES (9, 'after errors')});
is(chains_of($node, 'sql_ascii', 'events'),
	'6 entries, 2 chains, 0 broken', 'SQL_ASCII: errors left nothing behind');

# Letters that UTF-8 knows and LATIN1 does not cannot even get there
my (undef, undef, $stderr) = $node->psql('latin1',
	q{SET client_encoding = 'UTF8'; INSERT INTO events (id, "§") VALUES (9, '€')});
like($stderr, qr/has no equivalent in encoding "LATIN1"/, 'LATIN1: no euro sign');

done_testing();
