# A whole log is proved from its JSONL export by a program that shares no code with the extension.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use PostgreSQL::Test::Utils;
use Test::More;

my $checker = "$FindBin::RealBin/../../tools/verify_jsonl.py";
my $file = PostgreSQL::Test::Utils::tempdir() . '/events.jsonl';
my $node = start_node('main');
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		occurred_at timestamptz DEFAULT now(), tenant text, amount numeric, details jsonb);
	INSERT INTO events (tenant, amount, details)
		SELECT 'tenant ' || i % 7, i / 3.0, jsonb_build_object('n', i, 'text', E'"é\n\\\\ ' || i)
		FROM generate_series(1, 500) i;
	SELECT auditchain.protect('events', chain_by => '{tenant}');
	INSERT INTO events (tenant, amount, details)
		SELECT 'tenant ' || i % 9, i, NULL FROM generate_series(1, 500) i;
});

sub check_export
{
	my (@edits) = @_;
	my @lines = split /\n/, $node->safe_psql('postgres', q{SELECT auditchain.export('events', 'jsonl')});
	$_->(\@lines) for @edits;
	open(my $handle, '>', $file) or die $!;
	print $handle "$_\n" for @lines;
	close $handle;
	return run_command([ 'python3', $checker, $file ]);
}

my ($stdout, $stderr) = check_export();
is($stdout, '1000 entries in 9 chains verified', 'the export proves itself');

(undef, $stderr) = check_export(sub { splice @{ $_[0] }, 10, 1 });
like($stderr, qr/expected position 11/, 'an entry taken out is missed');
(undef, $stderr) = check_export(sub { $_[0][20] =~ s/("payload".*)tenant \d/$1tenant X/ });
like($stderr, qr/line 21.*payload does not match/, 'an edited payload is found');
(undef, $stderr) = check_export(sub { @{ $_[0] }[ 30, 31 ] = @{ $_[0] }[ 31, 30 ] });
like($stderr, qr/line 31.*expected position/, 'swapped entries are found');

done_testing();
