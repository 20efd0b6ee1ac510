using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Lets a tenant pass whose schema has what the context's model needs, and is not being migrated.</summary>
internal sealed class SchemaVersionGate<TContext>(
    DbContextOptions<TContext> options,
    IEnumerable<TenantDbContextType> contexts,
    ITenantStore tenants,
    TimeProvider time,
    IServiceProvider services
)
    where TContext : DbContext
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly TenantContextSettings _settings = options.FindExtension<TenantOptionsExtension>()!.Settings;
    private string? _required;

    /// <summary>The newest migration that the model cannot do without; empty where there is none.</summary>
    private string Required => _required ??= FindRequired();

    /// <summary>Waits for the tenant's migration if there is one, and gives the tenant as it is then.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="canWait">Whether the caller can; a synchronous one would hold a thread.</param>
    /// <param name="ct">Cancels.</param>
    /// <exception cref="TenantUnavailableException">Its schema is behind, or is still being migrated.</exception>
    public ValueTask<Tenant> PassAsync(Tenant tenant, bool canWait, CancellationToken ct) =>
        Passes(tenant, out _) ? new(tenant) : WaitAsync(tenant, canWait, ct);

    private bool Passes(Tenant tenant, out bool isMigrating)
    {
        isMigrating = tenant.MigratingUntil is { } until && until > time.GetUtcNow();
        return !isMigrating
            && (
                _settings.WhenBehind == SchemaBehind.Allow
                || tenant.SchemaVersion is not { } version
                || string.CompareOrdinal(version, Required) >= 0
            );
    }

    private async ValueTask<Tenant> WaitAsync(Tenant tenant, bool canWait, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        while (!Passes(tenant, out var isMigrating))
        {
            if (
                !canWait
                || (!isMigrating && _settings.WhenBehind != SchemaBehind.Wait)
                || time.GetElapsedTime(started) >= _settings.WaitForMigration
            )
            {
                throw isMigrating
                    ? TenantUnavailableException.Migrating(tenant, RetryAfter)
                    : TenantUnavailableException.Behind(tenant, typeof(TContext).Name, Required, RetryAfter);
            }

            await Task.Delay(Interval, time, ct).ConfigureAwait(false);
            tenant = await tenants.GetActiveAsync(tenant.Id, ct).ConfigureAwait(false);
        }

        return tenant;
    }

    private string FindRequired()
    {
        using var scope = services.CreateScope();
        using var context = contexts.Single(c => c.Type == typeof(TContext)).CreateUnbound(scope.ServiceProvider);
        return context
                .GetService<IMigrationsAssembly>()
                .Migrations.OrderByDescending(m => m.Key, StringComparer.Ordinal)
                .SkipWhile(m => m.Value.IsDefined(typeof(BackwardCompatibleMigrationAttribute)))
                .Select(m => m.Key)
                .FirstOrDefault()
            ?? "";
    }
}
