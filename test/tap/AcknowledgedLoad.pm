# Clients that insert into the logs `elastic` and `strict` (client int, n int) and note outside the
# database what was acknowledged to them.
package AcknowledgedLoad;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_clients);

# Each client commits n = 1, 2, 3 …, and its psql prints n only after COMMIT has returned.
sub start_clients
{
	my ($node, $clients, $first) = @_;
	$first //= 1;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @runs;
	for my $client (1 .. $clients)
	{
		my $script = "$dir/client$client.sql";
		open(my $file, '>', $script) or die $!;
		for my $n ($first .. $first + 2999)
		{
			# Of a transaction that spans both logs, either both entries are there or none
			my $insert =
				$n % 3 == 0 ? "INSERT INTO strict VALUES ($client, $n);"
			  : $n % 3 == 1 ? "INSERT INTO elastic VALUES ($client, $n);"
			  :   "BEGIN; INSERT INTO elastic VALUES ($client, $n); INSERT INTO strict VALUES ($client, $n); COMMIT;";
			print $file "$insert\n\\echo $n\n";
		}
		close $file;
		my $run = { client => $client, first => $first, out => "$dir/client$client.out" };
		$run->{process} = IPC::Run::start(
			[
				'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $script, '-d',
				$node->connstr('postgres')
			],
			'>', $run->{out}, '2>', '/dev/null');
		push @runs, $run;
	}
	return bless { runs => \@runs }, __PACKAGE__;
}

# The newest acknowledged n of a client; the first less one when there is none.
sub newest
{
	my ($run) = @_;
	my @lines = split /\n/, slurp_file($run->{out});
	return @lines ? $lines[-1] : $run->{first} - 1;
}

# How many transactions were acknowledged to all clients together.
sub total
{
	my ($self) = @_;
	my $total = 0;
	$total += newest($_) - $_->{first} + 1 for @{ $self->{runs} };
	return $total;
}

sub wait_for_acknowledged
{
	my ($self, $enough) = @_;
	for (1 .. 1200)
	{
		return if $self->total >= $enough;
		select undef, undef, undef, 0.05;
	}
	die 'too few commits were acknowledged';
}

# Waits until all clients have lost their server.
sub finish
{
	my ($self) = @_;
	$_->{process}->finish for @{ $self->{runs} };
	return $self;
}

# Acknowledged entries that the log has not got, as text; empty when all are there.
sub missing_in
{
	my ($self, $node, $log) = @_;
	my $values = join ', ', map { sprintf '(%d, %d)', $_->{client}, newest($_) } @{ $self->{runs} };
	my $first = $self->{runs}[0]{first};
	my $left_out = $log eq 'elastic' ? 0 : 1;
	return $node->safe_psql(
		'postgres', qq{
		SELECT a.client, n FROM (VALUES $values) a (client, newest), generate_series($first, newest) n
		WHERE n % 3 <> $left_out
		EXCEPT SELECT client, n FROM $log});
}

1;
