# kill -9 of the server at every step of archive() and expire(), for archives in files and in tables: each
# entry is in the log or in one verified archive, and a rerun finishes. And a file that can grow no more.
#
# Steps are held up by locks on what they need next, and besides that the server is killed at moments that are
# spread over the whole of the work. A backend whose files may not grow stands for a disk that is full: the limit
# of file sizes fails the same write(), with EFBIG for ENOSPC, and needs no file system of the test's own.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use AuditLog;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = PostgreSQL::Test::Utils::tempdir();
my $archives = "$dir/archives";
mkdir $archives or die $!;
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init(allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C', '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'auditchain'
shared_buffers = 64MB
auditchain.checkpoint_interval = 0
auditchain.archive_directory = '$archives'
});
$node->start;

my $entries = 6000;
$node->safe_psql('postgres', q{CREATE EXTENSION auditchain; CREATE SCHEMA cold});
for my $log ('in_files', 'in_tables')
{
	my $destination = $log eq 'in_files' ? 'file:deep/er' : 'schema:cold';
	$node->safe_psql('postgres', qq{
		CREATE TABLE $log (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), tenant text, note text);
		SELECT auditchain.protect('$log', chain_by => '{tenant}');
		SELECT auditchain.set_retention('$log', '20 years', '1 year', '$destination');
		INSERT INTO $log (at, tenant, note)
			SELECT now() - interval '6 years' + i * interval '8 hours', i % 3, string_agg(md5(i::text || j), '')
			FROM generate_series(1, $entries) i, generate_series(1, 10) j GROUP BY i ORDER BY i});
}

sub files
{
	return map { s{^\Q$archives/\E}{}r } sort glob "$archives/deep/er/*";
}

sub on_record
{
	my ($state) = @_;
	return split /\n/, $node->safe_psql('postgres',
		qq{SELECT file FROM auditchain.archives WHERE log = 'in_files'::regclass AND state = '$state' ORDER BY file});
}

sub check_whole
{
	my ($name) = @_;
	my $found = $node->safe_psql('postgres', q{
		SELECT log, v.intact, v.total_events, (SELECT coalesce(sum(entries), 0) FROM auditchain.archives a WHERE a.log = l.log)
			+ CASE WHEN l.log = 'in_files'::regclass THEN (SELECT count(*) FROM in_files) ELSE (SELECT count(*) FROM in_tables) END
		FROM (VALUES ('in_files'::regclass), ('in_tables')) AS l (log), auditchain.verify(log) v ORDER BY 1;
		SELECT a.log, a.archive, v.message FROM auditchain.archives a, auditchain.verify_archive(archive) v WHERE NOT v.intact;
		SELECT 'operations', message FROM auditchain.verify('auditchain.operations') WHERE NOT intact});
	is($found, "in_files|t|$entries|$entries\nin_tables|t|$entries|$entries", "$name: each entry is in the log or an archive, and all is intact");
	return;
}

# The whole server at once: a backend that outlives the postmaster would abort its transaction.
sub kill_all
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	kill 'STOP', $postmaster;
	my @children;
	for my $status (glob '/proc/[0-9]*/stat')
	{
		open my $handle, '<', $status or next;  # it may have ended
		my ($pid, $parent) = (readline($handle) // '') =~ /^(\d+) .*\) \w (\d+) /;
		push @children, $pid if defined $parent && $parent == $postmaster;
	}
	kill 'KILL', @children, $postmaster;
	$node->kill9;  # which knows then that it is gone
	return;
}

sub restart_killed
{
	kill_all();
	# Its children may outlive a killed postmaster for a moment
	my $attempts = 0;
	until ($node->start(fail_ok => 1))
	{
		die 'does not start' if ++$attempts > 60;
		$node->stop('fast', fail_ok => 1);
		sleep 0.5;
	}
	return;
}

sub wait_for
{
	my ($what, $sql) = @_;
	for (1 .. 200)
	{
		return if $node->safe_psql('postgres', $sql) eq 't';
		sleep 0.1;
	}
	die "$what: " . slurp_file("$dir/psql.log");
}

sub start_psql
{
	my (@sql) = @_;
	return IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), map { ('-c', $_) } @sql ], '<', '/dev/null', '>', "$dir/psql.log", '2>&1');
}

# Held up at a step
my $before = q{now() - interval '5 years 10 months'};
my %steps = (
	'writing the bundle' => [ 'LOCK auditchain.verification IN ACCESS EXCLUSIVE MODE', qr/\.partial$/ ],
	'recording' => [ 'LOCK auditchain.operations IN EXCLUSIVE MODE', qr/\.tar$/ ],
	'deleting' => [ 'SELECT FROM in_files WHERE id = 100 FOR SHARE', qr/\.tar$/ ]);
for my $step ('recording', 'deleting', 'writing the bundle')
{
	my ($lock, $left) = @{ $steps{$step} };
	my %there = map { $_ => 1 } files();
	my $blocker = start_psql("BEGIN; $lock; SELECT pg_sleep(600)");
	wait_for('no blocker', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	my $archiving = start_psql("SELECT auditchain.archive('in_files', $before)");
	wait_for("does not wait when $step", q{
		SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT auditchain.archive%' AND wait_event_type = 'Lock'});
	restart_killed();
	$_->finish for $blocker, $archiving;
	my @new = grep { !$there{$_} } files();
	is(scalar(@new), 1, "killed when $step: a file is left");
	like($new[0], $left, "killed when $step: it is where that step has brought it");
	is(scalar(on_record('kept')), 0, "killed when $step: and no archive is on record");
	check_whole("killed when $step");
}
my @left = files();
$node->safe_psql('postgres', "SELECT auditchain.archive('in_files', $before)");
is(scalar(grep { /partial/ } files()), 0, 'a rerun removes what was not finished');
is(scalar(grep { my $file = $_; !grep { $_ eq $file } files() } grep { /tar$/ } @left), 0, 'and nothing else');
is(join(' ', map { $node->safe_psql('postgres', "SELECT count(*) FROM (SELECT auditchain.restore_archive('in_files', '$_')) AS r") } grep { /tar$/ } @left),
	'1 1', 'which is whole');
check_whole('a rerun finishes');

# Killed at moments that are spread over the work
sub steps_of
{
	my ($round) = @_;
	my $archived = "now() - interval '5 years 10 months' + $round * interval '2 months'";
	my $keep = "interval '6 years' - $round * interval '2 months'";
	return (
		"SELECT auditchain.set_retention('in_files', $keep, '1 day', 'file:deep/er', 'round $round')",
		"SELECT auditchain.set_retention('in_tables', $keep, '1 day', 'schema:cold', 'round $round')",
		"SELECT auditchain.archive('in_files', $archived)",
		"SELECT auditchain.expire('in_files')",
		"SELECT auditchain.archive('in_tables', $archived)",
		"SELECT auditchain.expire('in_tables')");
}
my $start = time;
start_psql(steps_of(1))->finish;
my $duration = time - $start;
check_whole('not killed');
my $rounds = 12;
for my $round (2 .. $rounds)
{
	my $working = start_psql(steps_of($round));
	sleep(($round - 1.5) * $duration / ($rounds - 2));
	restart_killed();
	$working->finish;
	check_whole("round $round");
	start_psql(steps_of($round))->finish;
}
check_whole('the last rerun finishes');
my %kept = map { $_ => 1 } on_record('kept');
my %expired = map { $_ => 1 } on_record('expired');
my @files = files();
cmp_ok(scalar(keys %expired), '>', 5, 'archives have expired: ' . scalar(keys %expired) . ', kept are ' . scalar(keys %kept));
is(scalar(grep { $kept{$_} } @files), scalar(keys %kept), 'the files of what is kept are there');
is(scalar(grep { $expired{$_} } @files), 0, 'those of what has expired are not');
is(scalar(grep { /partial/ } @files), 0, 'nor what was not finished');
note(scalar(grep { !$kept{$_} } @files) . ' files that no archive names are left');

# A file that can grow no more
my $big = 4000;
$node->safe_psql('postgres', qq{
	CREATE TABLE big (id int PRIMARY KEY, at timestamptz, note text);
	SELECT auditchain.protect('big');
	SELECT auditchain.set_retention('big', '20 years', '1 year', 'file:big');
	INSERT INTO big SELECT i, now() - interval '2 years', string_agg(md5(i::text || j), '') FROM generate_series(1, $big) i, generate_series(1, 24) j GROUP BY i;
	CALL auditchain.checkpoint('big');
	CHECKPOINT});
my ($status, $stdout, $stderr) = $node->psql('postgres', q{
\set VERBOSITY verbose
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! prlimit --fsize=1100000: --pid $PID
SELECT auditchain.archive('big', now());
SELECT 'then', count(*) FROM big;
SELECT 'violations', violations FROM auditchain.verify('big');
\! prlimit --fsize=unlimited: --pid $PID
SELECT 'again', auditchain.archive('big', now()) IS NOT NULL;
}, on_error_stop => 0);
like($stderr, qr/LC014: could not write ".*\.partial".*\nDETAIL:  .*File too large/, 'a file that can grow no more');
like($stdout, qr/then\|$big\nviolations\|0\nagain\|t/, 'nothing is lost, and with space again a rerun finishes');
is(scalar(my @big = glob "$archives/big/*"), 1, 'nothing else is left');
is($node->safe_psql('postgres', q{
	SELECT size > 1100000, v.message FROM auditchain.archives, auditchain.verify_archive(archive) v WHERE log = 'big'::regclass}),
	't|All ' . ($big - 1) . ' archived events verified. Chain integrity intact.', 'and all is there');

done_testing();
