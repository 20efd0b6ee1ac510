using System.Globalization;

namespace NeoCommons.EfCore.Testing;

/// <summary>A folder that holds <c>initdb</c> and <c>postgres</c>.</summary>
internal sealed record PostgresBinaries(string Folder)
{
    public const string Variable = "NEO_TEST_POSTGRES_BIN";

    // One folder per major version below each of these: Debian and Ubuntu, Red Hat, Homebrew.
    private static readonly (string Root, string Folders, string Prefix)[] s_installations =
    [
        ("/usr/lib/postgresql", "*", ""),
        ("/usr", "pgsql-*", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@*", "postgresql@"),
        ("/usr/local/opt", "postgresql@*", "postgresql@"),
    ];

    public string InitDb => Path.Combine(Folder, "initdb");

    public string Postgres => Path.Combine(Folder, "postgres");

    /// <summary>Comes with the clients on some systems, and not with the server.</summary>
    public string BaseBackup =>
        Path.Combine(Folder, "pg_basebackup") is var beside && File.Exists(beside)
            ? beside
            : Executables.Find("pg_basebackup")
                ?? throw new ServerNotFoundException(
                    "pg_basebackup",
                    [$"'pg_basebackup' in '{Folder}' and on PATH"],
                    "Install PostgreSQL's client programs (Debian, Ubuntu: apt-get install postgresql-client)."
                );

    private bool IsComplete => File.Exists(InitDb) && File.Exists(Postgres);

    /// <summary>Finds binaries, or adds to <paramref name="lookedFor"/> why there are none.</summary>
    public static PostgresBinaries? Find(string? folder, List<string> lookedFor)
    {
        if (OperatingSystem.IsWindows())
        {
            lookedFor.Add("installed binaries (not supported on Windows)");
            return null;
        }

        var forced = folder ?? Environment.GetEnvironmentVariable(Variable);
        if (!string.IsNullOrEmpty(forced))
        {
            lookedFor.Add($"'initdb' and 'postgres' in '{forced}'");
            return new PostgresBinaries(Path.GetFullPath(forced)) is { IsComplete: true } there ? there : null;
        }

        lookedFor.Add("'initdb' and 'postgres' in /usr/lib/postgresql/<major>/bin and on PATH");
        return s_installations
                .SelectMany(place => Majors(place.Root, place.Folders, place.Prefix))
                .OrderByDescending(found => found.Major)
                .Select(found => found.Binaries)
                .FirstOrDefault(binaries => binaries.IsComplete)
            ?? OnPath();
    }

    private static IEnumerable<(int Major, PostgresBinaries Binaries)> Majors(
        string root,
        string folders,
        string prefix
    )
    {
        if (!Directory.Exists(root))
        {
            yield break;
        }

        foreach (var folder in Directory.EnumerateDirectories(root, folders))
        {
            if (int.TryParse(Path.GetFileName(folder)[prefix.Length..], CultureInfo.InvariantCulture, out var major))
            {
                yield return (major, new PostgresBinaries(Path.Combine(folder, "bin")));
            }
        }
    }

    // What is on PATH is often a link, or a wrapper without its neighbours.
    private static PostgresBinaries? OnPath() =>
        new[] { "postgres", "pg_ctl", "initdb" }
            .Select(Executables.Find)
            .OfType<string>()
            .Select(path => new PostgresBinaries(Path.GetDirectoryName(Executables.Resolve(path))!))
            .FirstOrDefault(binaries => binaries.IsComplete);
}
