# Random tampering by a superuser with the guard off, in logs of every sort: violations() and verify()
# say what the slow and simple reference in test/reference says, and exactly what was done where that is
# known. AUDITCHAIN_TEST_SEED repeats a run; AUDITCHAIN_TEST_CASES asks for more than the usual.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $reference = "$FindBin::RealBin/../reference";
my $seed = $ENV{AUDITCHAIN_TEST_SEED} // int(rand(2**31));
my $cases = $ENV{AUDITCHAIN_TEST_CASES} // 2000;

my $node = new_node('random_tampering');
$node->append_conf('postgresql.conf', "max_prepared_transactions = 2\nfsync = off\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION auditchain');
$node->safe_psql('postgres', PostgreSQL::Test::Utils::slurp_file("$reference/helpers.sql"));

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
note "AUDITCHAIN_TEST_SEED=$seed AUDITCHAIN_TEST_CASES=$cases";
my ($stdout, $stderr) = run_command([ 'python3', "$reference/tamper.py", $seed, $cases ]);
like($stdout, qr/^\d+ known cases, \d+ mixes and \d+ intact logs agree, \d+ are ambiguous$/, "seed $seed");
note $stdout;
diag $stderr if $stderr;

done_testing();
