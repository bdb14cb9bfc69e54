# A prepared transaction keeps its chain, over a restart too, until it is committed or rolled back.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use Test::More;

my $node = new_node('prepared');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE strict (id int PRIMARY KEY);
	CREATE TABLE elastic (id int PRIMARY KEY);
	SELECT auditchain.protect('strict', lanes => 1);
	SELECT auditchain.protect('elastic');
	BEGIN;
	INSERT INTO strict VALUES (1), (2);
	SAVEPOINT a;
	INSERT INTO strict VALUES (3);
	ROLLBACK TO a;
	INSERT INTO elastic VALUES (1);
	PREPARE TRANSACTION 'one';
	INSERT INTO elastic VALUES (2);
});
for my $when ('before', 'after')
{
	my (undef, undef, $stderr) =
	  $node->psql('postgres', q{SET lock_timeout = '200ms'; INSERT INTO strict VALUES (10)});
	like($stderr, qr/lock timeout/, "$when a restart: another writer waits");
	$node->restart if $when eq 'before';
}
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'; INSERT INTO strict VALUES (10);
	INSERT INTO elastic VALUES (10);});
is(chains_of($node, 'postgres', 'strict'), '3 entries, 1 chains, 0 broken', 'strict log');
is(chains_of($node, 'postgres', 'elastic'), '3 entries, 2 chains, 0 broken', 'log with lanes');

$node->safe_psql(
	'postgres', q{
	BEGIN;
	INSERT INTO strict VALUES (11);
	PREPARE TRANSACTION 'two';
	ROLLBACK PREPARED 'two';
	INSERT INTO strict VALUES (12);
});
is(chains_of($node, 'postgres', 'strict'), '4 entries, 1 chains, 0 broken', 'after a rollback');

done_testing();
