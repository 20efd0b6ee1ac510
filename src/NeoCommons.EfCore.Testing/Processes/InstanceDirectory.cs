using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;

namespace NeoCommons.EfCore.Testing;

/// <summary>
/// The folder of one throwaway server: its data, its log, and a lock file that says whether its owner still lives.
/// </summary>
/// <remarks>
/// The lock is a file lock, not a process id: the system releases it whatever kills the owner, and a process id that
/// was given to somebody else cannot be mistaken for it. <see cref="SweepAbandoned"/> removes what dead owners left.
/// </remarks>
internal sealed class InstanceDirectory : IDisposable
{
    private const string Prefix = "neocommons-testing-";
    private const string LockName = "lock";
    private const string ServerName = "server.pid";

    private static readonly ConcurrentDictionary<InstanceDirectory, bool> s_live = new();

    private readonly FileStream _lock;
    private ServerProcess? _server;

    static InstanceDirectory() => AppDomain.CurrentDomain.ProcessExit += (_, _) => KillAll();

    private InstanceDirectory(string path, FileStream @lock)
    {
        Path = path;
        _lock = @lock;
        s_live[this] = true;
    }

    public string Path { get; }

    public string LogFile => Combine("log");

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Makes a folder that only <paramref name="owner"/> (or the current user, when null) can enter.</summary>
    public static InstanceDirectory Create(ServerUser? owner)
    {
        var root = RootFor(owner);
        SweepAbandoned(root);
        while (true)
        {
            var path = NewFolder(root);
            try
            {
                var held = new FileStream(
                    System.IO.Path.Combine(path, LockName),
                    FileMode.CreateNew,
                    FileAccess.ReadWrite,
                    FileShare.None
                );
                if (File.Exists(held.Name))
                {
                    if (owner is not null)
                    {
                        Posix.ChangeOwner(path, owner);
                    }

                    return new InstanceDirectory(path, held);
                }

                held.Dispose();
            }
            catch (IOException)
            {
                // Another process swept between our making the file and our locking it: it deletes the folder.
            }
        }
    }

    /// <summary>Remembers the process that runs here, for the exit of this process and for later sweeps.</summary>
    public void Adopt(ServerProcess server)
    {
        _server = server;
        File.WriteAllText(Combine(ServerName), server.Id.ToString(CultureInfo.InvariantCulture));
    }

    public void WriteFile(string name, string content, ServerUser? owner)
    {
        var path = Combine(name);
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var writer = new StreamWriter(path, options))
        {
            writer.Write(content);
        }

        if (owner is not null)
        {
            Posix.ChangeOwner(path, owner);
        }
    }

    /// <summary>The last lines of the server's log; empty when there is none yet.</summary>
    public string ReadLog(int lines = 20) =>
        File.Exists(LogFile) ? string.Join(Environment.NewLine, File.ReadLines(LogFile).TakeLast(lines)) : "";

    public void Dispose()
    {
        if (s_live.TryRemove(this, out _))
        {
            Delete(Path);
            _lock.Dispose();
        }
    }

    /// <summary>
    /// The temp folder; where that lies below a private home, which the server's user cannot pass, the system's own.
    /// </summary>
    private static string RootFor(ServerUser? owner) =>
        System.IO.Path.GetTempPath() is var temp && (owner is null || owner.CanTraverse(temp)) ? temp : "/tmp";

    private static string NewFolder(string root)
    {
        var path = System.IO.Path.Combine(root, Prefix + RandomNumberGenerator.GetHexString(12, lowercase: true));
        return OperatingSystem.IsWindows()
            ? throw new PlatformNotSupportedException("Servers from installed binaries need a POSIX system.")
            : Directory
                .CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)
                .FullName;
    }

    private static void SweepAbandoned(string root)
    {
        foreach (var path in Directory.EnumerateDirectories(root, Prefix + "*"))
        {
            try
            {
                using var held = new FileStream(
                    System.IO.Path.Combine(path, LockName),
                    FileMode.Open,
                    FileAccess.ReadWrite,
                    FileShare.None
                );
                KillServerOf(path);
                Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Locked: its owner lives. No lock file: it is just being made. No access: another user's.
            }
        }
    }

    /// <summary>Where the server could not be tied to its owner (no setpriv), it may have outlived it.</summary>
    private static void KillServerOf(string path)
    {
        var file = System.IO.Path.Combine(path, ServerName);
        if (
            File.Exists(file)
            && int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out var id)
            && File.Exists($"/proc/{id}/cmdline")
            && File.ReadAllText($"/proc/{id}/cmdline").Contains(path, StringComparison.Ordinal)
        )
        {
            // PostgreSQL frees its shared memory when asked to quit; the others may ignore that.
            var isPostgres = Directory.Exists(System.IO.Path.Combine(path, "data"));
            Posix.Signal(id, isPostgres ? Signal.Quit : Signal.Kill);
        }
    }

    private static void KillAll()
    {
        foreach (var directory in s_live.Keys)
        {
            try
            {
                directory._server?.Kill();
                directory.Dispose();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The process is ending: the next start sweeps what is left.
            }
        }
    }

    private static void Delete(string path)
    {
        // A server that was just killed can still be writing: deleting a folder that grows needs a second try.
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                Directory.Delete(path, recursive: true);
                return;
            }
            catch (DirectoryNotFoundException)
            {
                return;
            }
            catch (IOException) when (attempt < 20)
            {
                Thread.Yield();
            }
        }
    }
}
