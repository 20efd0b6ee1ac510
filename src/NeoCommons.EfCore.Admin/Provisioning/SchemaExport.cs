using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Writes a schema to a file with <c>pg_dump</c>.</summary>
internal sealed class SchemaExport(IOptions<TenantLifecycleOptions> options, IOptions<ConnectionOptions> connections)
{
    private const string Unfinished = ".partial";

    /// <summary>Writes it.</summary>
    /// <param name="database">The database.</param>
    /// <param name="open">A connection to the server that has the schema: a row may name several, and only one takes writes.</param>
    /// <param name="schema">The schema.</param>
    /// <param name="file">The file, which must not exist.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="InvalidOperationException">The file exists, there is no pg_dump, or it failed.</exception>
    public async Task WriteAsync(
        DatabaseConnection database,
        NpgsqlConnection open,
        SchemaName schema,
        string file,
        CancellationToken ct
    )
    {
        ThrowIfRefused(database, schema, file);
        var partial = file + Unfinished;
        try
        {
            // All of a tenant's data: pg_dump writes into the file that is there, and leaves its mode as it is.
            await new FileStream(partial, OwnersOnly()).DisposeAsync().ConfigureAwait(false);
            await DumpAsync(database, open, schema, partial, ct).ConfigureAwait(false);
            File.Move(partial, file);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    /// <exception cref="ArgumentException">The file exists, or its folder does not.</exception>
    /// <exception cref="InvalidOperationException">It cannot be written through a pooler.</exception>
    public static void ThrowIfRefused(DatabaseConnection database, SchemaName schema, string file)
    {
        if (database.Pooler == PoolerMode.Transaction)
        {
            throw new InvalidOperationException(
                $"Connection '{database.Name}' leads through a pooler in transaction mode, where pg_dump's settings and prepared "
                    + "statements would be left to others, so the tenant was not exported and nothing was deleted. Execute "
                    + $"pg_dump --schema='{schema.Quoted}' against PostgreSQL itself, and delete without an export."
            );
        }

        if (Path.Exists(file))
        {
            throw new ArgumentException(
                $"The export was to go to '{file}', which exists. Nothing was deleted. Name another file."
            );
        }

        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(file))))
        {
            throw new ArgumentException(
                $"The export was to go to '{file}', whose folder does not exist. Nothing was deleted. Make the folder."
            );
        }
    }

    private static FileStreamOptions OwnersOnly()
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return options;
    }

    private async Task DumpAsync(
        DatabaseConnection database,
        NpgsqlConnection open,
        SchemaName schema,
        string file,
        CancellationToken ct
    )
    {
        using var process = Start(database, open, schema, file);
        var errors = process.StandardError.ReadToEndAsync(ct);
        try
        {
            await process.WaitForExitAsync(ct).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException(
                $"{options.Value.PgDump} could not export schema '{schema}' of connection '{database.Name}' and ended with "
                    + $"{process.ExitCode}. Nothing was deleted. It said: {(await errors.ConfigureAwait(false)).Trim()}"
            );
        }
    }

    private static string HostOf(NpgsqlConnection open) =>
        open.Host?.Trim('[', ']')
        ?? throw new InvalidOperationException(
            "The connection to the tenant's database was lost before its schema was exported. Nothing was deleted: repeat it."
        );

    private Process Start(DatabaseConnection database, NpgsqlConnection open, SchemaName schema, string file)
    {
        var start = new ProcessStartInfo(options.Value.PgDump)
        {
            RedirectStandardError = true,
            // The quoted name: the option takes a pattern, in which quotes make it one name.
            ArgumentList = { "--format=custom", "--no-password", "--schema=" + schema.Quoted, "--file=" + file },
            Environment =
            {
                ["PGHOST"] = HostOf(open),
                ["PGPORT"] = open.Port.ToString(CultureInfo.InvariantCulture),
                ["PGDATABASE"] = database.Database,
                ["PGUSER"] = database.Username,
                ["PGPASSWORD"] = database.Password.Reveal(),
                ["PGSSLMODE"] = ColumnText.LibpqSslMode(database.SslMode),
            },
        };
        if (database.SslMode is not (SslMode.VerifyCA or SslMode.VerifyFull))
        {
            // As for our own connections. Programs before PostgreSQL 16 do not know it.
            start.Environment["PGREQUIREAUTH"] = ColumnText.LibpqRequireAuth(connections.Value.RequireAuth);
        }

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException(
                $"'{options.Value.PgDump}' could not be started ({e.Message}), so the tenant was not exported and nothing was "
                    + "deleted. Install PostgreSQL's client programs, set NeoCommons:Lifecycle:PgDump to the path of pg_dump, or "
                    + "delete without an export.",
                e
            );
        }
    }
}
