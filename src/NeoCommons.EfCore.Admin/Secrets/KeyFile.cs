namespace NeoCommons.EfCore.Admin;

/// <summary>A file that holds the keys, and is nobody else's to read.</summary>
internal static class KeyFile
{
    internal const string Variable = FernetKeys.Variable + "_FILE";

    private const int LongestFile = 64 * 1024;

    private const UnixFileMode Others =
        UnixFileMode.GroupRead
        | UnixFileMode.GroupWrite
        | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead
        | UnixFileMode.OtherWrite
        | UnixFileMode.OtherExecute;

    /// <summary>Reads the keys.</summary>
    /// <exception cref="FormatException">The file cannot be read, or others may read or write it; shows nothing of what it holds.</exception>
    public static string Read(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);

            // The mode of the open file, not of the path: that may be another file by now.
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(file) & Others) is not 0 and var mode)
            {
                throw new FormatException(
                    $"{Variable}: others than the owner of {path} may use it ({mode}). Take their rights away: chmod 600."
                );
            }

            if (RandomAccess.GetLength(file) > LongestFile)
            {
                throw new FormatException($"{Variable}: {path} is longer than {LongestFile} bytes: it holds no keys.");
            }

            using var stream = new FileStream(file, FileAccess.Read);
            using var reader = new StreamReader(stream);
            return reader.ReadToEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new FormatException(
                $"{Variable}: {path} cannot be read ({e.GetType().Name}). Name a file that this process may read.",
                e
            );
        }
    }
}
