# What the tests of whole servers share.
package AuditLog;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_node start_node chains_of trouble_in);

# A server that has not been started: UTF-8, C locale.
sub new_node
{
	my ($name, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ], %init);
	return $node;
}

sub start_node
{
	my $node = new_node(@_);
	$node->start;
	return $node;
}

# "N entries, M chains, B broken": positions, links and hashes are checked with nothing of
# auditchain's but payload().
sub chains_of
{
	my ($node, $database, $log) = @_;
	return $node->safe_psql(
		$database, qq{
		WITH entries AS (
			SELECT e.*, auditchain.payload(e) AS payload, row_number() OVER w AS place,
				lag(checksum, 1, decode(repeat('00', 32), 'hex')) OVER w AS before
			FROM $log e WINDOW w AS (PARTITION BY chain_id ORDER BY chain_position))
		SELECT format('%s entries, %s chains, %s broken', count(*), count(DISTINCT chain_id),
			count(*) FILTER (WHERE NOT (
				chain_position = place AND previous_checksum = before AND
				checksum = sha256(convert_to(encode(previous_checksum, 'hex') || payload, 'UTF8')))))
		FROM entries});
}

# What a server's log says of trouble, with what stands about it; '' is as it should be.
sub trouble_in
{
	my ($node) = @_;
	my @lines = split /^/, slurp_file($node->logfile);
	my @found = grep { $lines[$_] =~ /WARNING|PANIC|TRAP|was terminated by signal/ } 0 .. $#lines;
	return join '', map { grep { defined } @lines[ ($_ > 2 ? $_ - 2 : 0) .. $_ + 4 ] } @found;
}

1;
