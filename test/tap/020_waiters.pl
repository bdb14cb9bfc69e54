# Who waits for a lane goes on when its holder ends, however that ends: with the board in shared
# memory, and without it.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('waiters');
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION auditchain;
	CREATE TABLE strict (id int PRIMARY KEY);
	CREATE TABLE keyed (id int PRIMARY KEY, key int);
	SELECT auditchain.protect('strict', lanes => 1);
	SELECT auditchain.protect('keyed', chain_by => '{key}', lanes => 1);
});
my $id = 0;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;

sub next_ids
{
	my ($count) = @_;
	$id += $count;
	return ($id - $count + 1 .. $id);
}

# A session that extends chains and stays in its transaction, and its process.
sub start_holder
{
	my ($insert) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_safe("BEGIN; $insert");
	return ($session, $pid);
}

# Runs a statement that has to wait; its errors go to $$errors.
sub start_waiter
{
	my ($insert, $errors) = @_;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $insert ],
		'>', '/dev/null', '2>', $errors, IPC::Run::timeout($timeout));
}

# All of them wait, as the server tells, and then wait in the queue of the lock.
sub check_waiting
{
	my ($what, $log, $count, $blocker) = @_;
	ok($node->poll_query_until('postgres', qq{
			SELECT count(*) = $count FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND wait_event = 'object'}), "$what: waits are shown");
	ok($node->poll_query_until('postgres', qq{
			SELECT count(*) = $count FROM auditchain.chain_locks
			WHERE log = '$log'::regclass AND NOT granted AND blocked_by = '{$blocker}'}),
		"$what: so is who is waited for");
	return;
}

sub check_takeover
{
	my ($what, $waiter, $errors) = @_;
	ok($waiter->finish, "$what: the waiter goes on") or diag($$errors);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM auditchain.chain_locks'),
		'0', "$what: no lock is left");
	return;
}

sub check_takeovers
{
	my ($how) = @_;
	my %ends = (
		commit => sub { $_[0]->query_safe('COMMIT') },
		rollback => sub { $_[0]->query_safe('ROLLBACK') },
		error => sub { $_[0]->query('SELECT 1 / 0; ROLLBACK') },
		terminate => sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[1])") },
		prepared_commit => sub {
			$_[0]->query_safe(q{PREPARE TRANSACTION 'p'});
			$_[0]->query_safe(q{SELECT pg_sleep(0.3)});
			is($node->safe_psql('postgres',
					q{SELECT count(*) FROM auditchain.chain_locks WHERE granted}),
				'1', "$how: a prepared transaction keeps its lane");
			$_[0]->query_safe(q{COMMIT PREPARED 'p'});
		},
		prepared_rollback => sub {
			$_[0]->query_safe(q{PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'});
		});
	for my $end (sort keys %ends)
	{
		# An end that comes at once meets a waiter that has not queued yet.
		for my $when ('at once', 'later')
		{
			my ($first, $second) = next_ids(2);
			my ($holder, $pid) = start_holder("INSERT INTO strict VALUES ($first)");
			my $errors = '';
			my $waiter = start_waiter("INSERT INTO strict VALUES ($second)", \$errors);
			my $what = "$how, $end, $when";
			check_waiting($what, 'strict', 1, $pid) if $when eq 'later';
			$ends{$end}->($holder, $pid);
			check_takeover($what, $waiter, \$errors);
			my $written = $node->safe_psql('postgres',
				"SELECT string_agg(id::text, ',' ORDER BY chain_position) FROM strict WHERE id >= $first");
			my $expected = $end =~ /commit/ ? "$first,$second" : $second;
			is($written, $expected, "$what: what the log has") if $when eq 'later';
			eval { $holder->quit };
		}
	}
	return;
}

# A waiter that is terminated is in nobody's way.
sub check_terminated_waiter
{
	my ($how) = @_;
	my ($first, $second, $third) = next_ids(3);
	my ($holder, $pid) = start_holder("INSERT INTO strict VALUES ($first)");
	my @errors = ('', '');
	my @waiters = map { start_waiter("INSERT INTO strict VALUES ($_)", \$errors[$_ - $second]) } $second, $third;
	ok($node->poll_query_until('postgres',
			q{SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}), "$how: two wait");
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'INSERT INTO strict VALUES ($second)'");
	ok(!$waiters[0]->finish, "$how: one of two waiters is terminated");
	$holder->query_safe('COMMIT');
	check_takeover("$how, beside a terminated one", $waiters[1], \$errors[1]);
	$holder->quit;
	return;
}

# The keys of a log share 1024 locks, and these share the places of the board.
sub check_many_locks
{
	my ($how) = @_;
	my ($from) = next_ids(3000);
	my ($holder, $pid) =
	  start_holder("INSERT INTO keyed SELECT i, i % 3000 FROM generate_series($from, $id) i");
	my @errors = ('') x 6;
	my @waiters;
	for my $i (0 .. 5)
	{
		my ($next) = next_ids(1);
		my $key = 1 + 500 * $i;
		push @waiters, start_waiter("INSERT INTO keyed VALUES ($next, $key)", \$errors[$i]);
	}
	check_waiting("$how, many keys", 'keyed', 6, $pid);
	$holder->query_safe('COMMIT');
	is(scalar(grep { $_->finish } @waiters), 6, "$how, many keys: all waiters go on") or diag("@errors");
	$holder->quit;
	return;
}

for my $how ('not preloaded', 'preloaded')
{
	if ($how eq 'preloaded')
	{
		$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'auditchain'});
		$node->restart;
	}
	check_takeovers($how);
	check_terminated_waiter($how);
	check_many_locks($how);
	for my $log ('strict', 'keyed')
	{
		like(chains_of($node, 'postgres', $log), qr/ 0 broken$/, "$how: $log has no gap");
		is($node->safe_psql('postgres', "SELECT intact FROM auditchain.verify('$log')"),
			't', "$how: $log verifies");
	}
}
is(trouble_in($node), '', 'no trouble in the log');

done_testing();
