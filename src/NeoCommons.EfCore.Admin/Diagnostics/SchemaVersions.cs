using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>How many tenants lack migrations of this application, as their rows say: counted when asked for, in the background.</summary>
internal sealed class SchemaVersions(
    AdminDatabase database,
    TenantMigrationScripts scripts,
    TimeProvider time,
    ILogger<SchemaVersions> log
)
{
    /// <summary>How old an answer may be before it is counted again.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    // A group for each version that there is, whatever the number of tenants.
    private const string Count = """
        SELECT tenant_type, schema_version, count(*), count(*) FILTER (WHERE migrating_until > now())
        FROM admin.tenants WHERE status = 'active' GROUP BY 1, 2
        """;

    private readonly Lock _reading = new();
    private Counted? _last;
    private long? _begun;

    /// <summary>Whether they could not be counted the last time that it was tried.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>What was counted last, or null; counts again where that is old.</summary>
    public Counted? Read()
    {
        lock (_reading)
        {
            // A count that fails is not begun again at each probe; none takes longer than that.
            if (_begun is null || time.GetElapsedTime(_begun.Value) >= Interval)
            {
                _begun = time.GetTimestamp();

                // On nobody's behalf: the caller has his answer.
                Task.Run(CountAsync).LetGo();
            }
        }

        return Volatile.Read(ref _last);
    }

    private async Task CountAsync()
    {
        try
        {
            using var ending = new CancellationTokenSource(Interval, time);
            Volatile.Write(ref _last, await CountAsync(ending.Token).ConfigureAwait(false));
            HasFailed = false;
        }
        catch (Exception e)
        {
            HasFailed = true;
            AdminLogMessages.TenantsNotCounted(log, e);
        }
    }

    private async Task<Counted> CountAsync(CancellationToken ct)
    {
        var connection = await database.OpenAsync(ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = new NpgsqlCommand(Count, connection);
        await using var __ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var ___ = reader.ConfigureAwait(false);
        var (active, behind, migrating) = (0L, 0L, 0L);
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            var type = reader.IsDBNull(0) ? null : reader.GetString(0);
            var version = reader.IsDBNull(1) ? null : reader.GetString(1);
            var tenants = reader.GetInt64(2);
            active += tenants;
            migrating += reader.GetInt64(3);

            // A version that nobody has noted is not known to be old.
            behind += version is not null && string.CompareOrdinal(version, NewestFor(type)) < 0 ? tenants : 0;
        }

        return new Counted(active, behind, migrating, time.GetTimestamp());
    }

    private string? NewestFor(string? type) =>
        scripts.For(type).SelectMany(s => s.Steps).Select(step => step.Id).Max(StringComparer.Ordinal);

    /// <summary>What was counted.</summary>
    internal sealed record Counted(long Active, long Behind, long Migrating, long At);
}
