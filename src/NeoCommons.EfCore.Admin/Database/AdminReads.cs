using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Contexts for the registry's own lookups, which are read-only and so can simply be tried again.</summary>
/// <remarks>
/// A connection that died in the pool shows at its next command; the retry opens another, and where that fails, says so
/// with <see cref="ConnectionUnavailableException"/>. The application's own <see cref="AdminDbContext"/> does not retry,
/// since that would refuse transactions.
/// </remarks>
internal sealed class AdminReads
{
    private const int Retries = 2;
    private static readonly TimeSpan LongestDelay = TimeSpan.FromMilliseconds(200);

    private readonly Lazy<DbContextOptions<AdminDbContext>> _options;

    public AdminReads(AdminDatabase database, AdminConnectionInterceptor interceptor) =>
        _options = new(() =>
        {
            var options = new DbContextOptionsBuilder<AdminDbContext>();
            options
                .UseAdminSchema(database.Source, npgsql => npgsql.EnableRetryOnFailure(Retries, LongestDelay, null))
                .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking)
                .AddInterceptors(interceptor);
            return options.Options;
        });

    /// <summary>Runs a lookup on a context of its own, outside of the caller's transaction if there is one.</summary>
    public async Task<T> ReadAsync<T>(Func<AdminDbContext, CancellationToken, Task<T>> read, CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var context = new AdminDbContext(_options.Value);
        await using var _ = context.ConfigureAwait(false);
        try
        {
            return await read(context, ct).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.UndefinedTable)
        {
            throw NoSchema(e);
        }
    }

    /// <summary>The tables are not there, or not all of them.</summary>
    public static ConnectionUnavailableException NoSchema(PostgresException e) =>
        new(
            AdminDatabase.Name,
            ConnectionUnavailableReason.Refused,
            "Schema 'admin' of the admin database has no tables yet, or those of an older version. Run 'admin migrate' when "
                + "you deploy (or call provider.MigrateAdminDatabaseAsync()), or set NeoCommons:AdminDatabase:MigrateOnStart to true.",
            e
        );
}
