namespace NeoCommons.EfCore.Testing;

/// <summary>
/// The user that a server runs as when we are root: PostgreSQL and PgBouncer refuse to run as root.
/// </summary>
internal sealed record ServerUser(string Name, uint Uid, uint Gid)
{
    /// <summary>User <c>postgres</c>, else <c>nobody</c>; null when we are not root and need not change.</summary>
    public static ServerUser? ForCurrentProcess() =>
        OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess
            ? null
            : Read("postgres")
                ?? Read("nobody")
                ?? throw new InvalidOperationException(
                    "This process is root, a server must not be, and there is no user 'postgres' or 'nobody' to run it as."
                );

    /// <summary>Whether this user can reach <paramref name="path"/>: every folder on the way lets others pass.</summary>
    public bool CanTraverse(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return true;
        }

        for (var folder = new DirectoryInfo(path); folder is not null; folder = folder.Parent)
        {
            if (!folder.UnixFileMode.HasFlag(UnixFileMode.OtherExecute))
            {
                return false;
            }
        }

        return true;
    }

    private static ServerUser? Read(string name)
    {
        foreach (var line in File.ReadLines("/etc/passwd"))
        {
            var fields = line.Split(':');
            if (
                fields.Length > 3
                && fields[0] == name
                && uint.TryParse(fields[2], out var uid)
                && uint.TryParse(fields[3], out var gid)
            )
            {
                return new ServerUser(name, uid, gid);
            }
        }

        return null;
    }
}
