# The documentation is true: every sample in README.md and docs/ runs, and the reference is complete.
#
# The samples of a document run in order, in one psql session, in a database of their own:
#   ```sql   statements. One that must fail is followed by a line `-- ERROR:  message`, and may be by
#            `-- DETAIL:  …` and `-- HINT:  …`.
#   ```sh    a shell script; it must exit with 0. It finds the server and the database by itself.
#   ```text  directly behind either: what it prints, or the end of it, but for white space. `…` stands
#            for any text.
# Blocks of other kinds (console, say) are not run.
use strict;
use warnings FATAL => 'all';
use utf8;
use open qw(:std :encoding(UTF-8));

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = abs_path(dirname(__FILE__) . '/../..');
my $mark = '@@line';

sub read_text
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!";
	local $/;
	return <$handle>;
}

sub write_text
{
	my ($file, $text) = @_;
	open my $handle, '>', $file or die "$file: $!";
	print $handle $text;
	close $handle;
}

# Fenced blocks of a document: kind, number of the first line within, and the lines.
sub blocks
{
	my (@lines) = @_;
	my (@blocks, $open);
	for my $number (1 .. @lines)
	{
		my $line = $lines[ $number - 1 ];
		if ($line =~ /^```(\w*)$/)
		{
			if ($open)
			{
				undef $open;
			}
			else
			{
				$open = { kind => $1, first => $number + 1, lines => [] };
				push @blocks, $open;
			}
		}
		elsif ($open)
		{
			push @{ $open->{lines} }, $line;
		}
	}
	return @blocks;
}

# A psql script with every statement on its line of the document, so that errors tell that line.
sub psql_script
{
	my ($directory, $length, @blocks) = @_;
	my @script = ('') x $length;
	for my $block (@blocks)
	{
		my $fence = $block->{first} - 2;
		if ($block->{kind} eq 'sql')
		{
			$script[$fence] = "\\echo $mark $block->{first}";
			@script[ $fence + 1 .. $fence + @{ $block->{lines} } ] = @{ $block->{lines} };
		}
		elsif ($block->{kind} eq 'sh')
		{
			my $file = "$directory/$block->{first}.sh";
			write_text($file, join("\n", @{ $block->{lines} }, ''));
			$script[$fence] = "\\! echo '$mark $block->{first}';"
			  . " cd $directory && bash -e -o pipefail $file || echo failed with status \$?";
		}
	}
	return join("\n", @script, '');
}

# Errors that a document announces, or that psql reports, by the line of their statement's end.
sub announced_errors
{
	my (@blocks) = @_;
	my %errors;
	for my $block (grep { $_->{kind} eq 'sql' } @blocks)
	{
		my ($line, $statement) = ($block->{first} - 1);
		for (@{ $block->{lines} })
		{
			$line++;
			if (/^-- ERROR:  /)
			{
				$statement = $line - 1;
			}
			elsif (!/^-- (?:DETAIL|HINT):  /)
			{
				undef $statement;
			}
			push @{ $errors{$statement} }, s/^-- //r if defined $statement;
		}
	}
	return %errors;
}

sub reported_errors
{
	my (@lines) = @_;
	my (%errors, $statement);
	for (@lines)
	{
		if (/^psql:[^:]*:(\d+): (ERROR|FATAL|NOTICE|WARNING):  /)
		{
			$statement = $2 eq 'ERROR' || $2 eq 'FATAL' ? $1 : undef;
			push @{ $errors{$statement} }, s/^psql:[^:]*:\d+: //r if defined $statement;
		}
		elsif (/^(?:DETAIL|HINT):  /)
		{
			push @{ $errors{$statement} }, $_ if defined $statement;
		}
	}
	return %errors;
}

sub test_errors
{
	my ($document, $announced, $reported) = @_;
	my %lines = (%$announced, %$reported);
	for my $line (sort { $a <=> $b } keys %lines)
	{
		my @expected = @{ $announced->{$line} // [] };
		my @found = @{ $reported->{$line} // [] };
		# A document need not quote all of DETAIL and HINT.
		my %quoted = map { /^(\w+)/ => 1 } @expected;
		@found = grep { /^(\w+)/ && ($1 eq 'ERROR' || $quoted{$1}) } @found;
		is(join("\n", @found), join("\n", @expected), "$document:$line fails as announced");
	}
}

# Printed text without what differs from one psql, terminal or writer to the next.
sub normalized
{
	my (@lines) = @_;
	return map { s/\s+/ /gr =~ s/^ | $//gr =~ s/-{2,}/--/gr } grep { /\S/ } @lines;
}

sub test_outputs
{
	my ($document, $stdout, @blocks) = @_;
	my (%printed, $current);
	for (split /\n/, $stdout)
	{
		if (/^\Q$mark\E (\d+)$/)
		{
			$current = $1;
		}
		elsif (defined $current)
		{
			push @{ $printed{$current} }, $_;
		}
	}
	for my $index (0 .. $#blocks)
	{
		my ($block, $next) = @blocks[ $index, $index + 1 ];
		next unless $block->{kind} =~ /^(?:sql|sh)$/;
		my @found = normalized(@{ $printed{ $block->{first} } // [] });
		is(scalar(grep { /^failed with status/ } @found),
			0, "$document:$block->{first} succeeds")
		  or diag(@found)
		  if $block->{kind} eq 'sh';
		my $behind = $block->{first} + @{ $block->{lines} } + 2;
		next unless $next && $next->{kind} eq 'text' && $next->{first} <= $behind + 1;
		my $expected = join "\n", normalized(@{ $next->{lines} });
		my $pattern = join '.*', map { quotemeta } split /…/, $expected, -1;
		like(join("\n", @found), qr/^$pattern\z/ms, "$document:$next->{first} is what it prints");
	}
}

sub test_samples
{
	my ($node, $document) = @_;
	my @lines = split /\n/, read_text("$top/$document");
	my @blocks = blocks(@lines);
	return unless grep { $_->{kind} =~ /^(?:sql|sh)$/ } @blocks;

	my $directory = PostgreSQL::Test::Utils::tempdir();
	my $script = "$directory/samples.sql";
	write_text($script, psql_script($directory, scalar(@lines), @blocks));
	$node->safe_psql('postgres', 'CREATE DATABASE samples');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'samples';
	my ($stdout, $stderr);
	IPC::Run::run([ 'psql', '-X', '-q', '-f', $script ], '<', \'', '>', \$stdout, '2>', \$stderr);
	utf8::decode($_) for $stdout, $stderr;
	note($stderr) if $stderr ne '';

	test_errors($document, { announced_errors(@blocks) }, { reported_errors(split /\n/, $stderr) });
	test_outputs($document, $stdout, @blocks);
	pass("$document has run");
	$node->safe_psql('postgres', 'DROP DATABASE samples');
	my $roles = $node->safe_psql('postgres',
		q(SELECT format('DROP ROLE %I;', rolname) FROM pg_roles WHERE oid >= 16384));
	$node->safe_psql('postgres', $roles);
}

# The words of GitHub's anchors for the headings of a document.
sub anchors
{
	my ($text) = @_;
	$text =~ s/^```.*?^```$//msg;
	my %anchors;
	while ($text =~ /^#+ +(.*)$/mg)
	{
		my $anchor = lc $1;
		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ tr/ /-/;
		$anchors{$anchor} = 1;
	}
	return %anchors;
}

sub test_links
{
	my ($document) = @_;
	my $text = read_text("$top/$document");
	my @broken;
	while ($text =~ /\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)/g)
	{
		my ($path, $anchor) = ($1, $2);
		my $target = $path eq '' ? "$top/$document" : dirname("$top/$document") . "/$path";
		if (!-e $target)
		{
			push @broken, $path;
		}
		elsif (defined $anchor)
		{
			my %anchors = anchors(read_text($target));
			push @broken, "$path#$anchor" unless $anchors{$anchor};
		}
	}
	is("@broken", '', "links of $document lead somewhere");
}

sub test_reference
{
	my ($node) = @_;
	my $reference = read_text("$top/docs/reference.md");
	$node->safe_psql('postgres', 'CREATE EXTENSION auditchain');
	my @names = split /\n/, $node->safe_psql('postgres', <<'END');
SELECT format('auditchain.%s(', proname) FROM pg_proc
WHERE pronamespace = 'auditchain'::regnamespace AND proname NOT LIKE '\_%'
UNION SELECT format('auditchain.%s', relname) FROM pg_class
WHERE relnamespace = 'auditchain'::regnamespace AND relkind = 'v'
UNION SELECT format('`%s`', attname) FROM pg_attribute JOIN pg_class r ON r.oid = attrelid
WHERE relnamespace = 'auditchain'::regnamespace AND relkind = 'v' AND attnum > 0
UNION SELECT format('`%s`', evtname) FROM pg_event_trigger
END
	push @names, map { "`LC$_`" =~ s/[', ]//gr }
	  read_text("$top/src/pg/errors.h") =~ /MAKE_SQLSTATE\('L', 'C', ('.', '.', '.')\)/g;
	push @names, map { "`$_`" } read_text("$top/src/pg/guard.cpp") =~ /CREATE TRIGGER (\w+)/g;
	push @names, map { "`$_`" }
	  read_text("$top/src/core/chain_walk.cpp") =~ /return "(\w+_\w+)";/g;
	my @missing = grep { index($reference, $_) < 0 } @names;
	is("@missing", '', 'docs/reference.md speaks of everything there is');
}

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', q{
timezone = 'UTC'
fsync = off
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0 # checkpoints come when a sample says
auditchain.personal_key_command = 'printf %064d 1'
});
$node->start;

my @documents = sort map { s|^\Q$top\E/||r } glob("$top/*.md"), glob("$top/docs/*.md");
test_links($_) for @documents;
test_samples($node, $_) for @documents;
test_reference($node);
$node->stop;

done_testing();
