using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>The migrations of the registered tenant contexts, one script per history.</summary>
internal sealed class TenantMigrationScripts
{
    private readonly Lazy<IReadOnlyList<ContextScript>> _contexts;
    private readonly Lazy<IReadOnlyList<MigrationScript>> _all;
    private readonly ConcurrentDictionary<string, IReadOnlyList<MigrationScript>> _byType = new(StringComparer.Ordinal);

    public TenantMigrationScripts(
        IServiceProvider services,
        IEnumerable<TenantDbContextType> contexts,
        IOptions<ConnectionOptions> options
    )
    {
        var rules = new MigrationRules(options.Value);

        // A failure is not remembered: the model is fixed, but what made it fail may pass.
        _contexts = new(() => [.. contexts.Select(Generate)], LazyThreadSafetyMode.PublicationOnly);
        _all = new(
            () => MigrationScript.Merge(_contexts.Value.Select(c => c.Script)),
            LazyThreadSafetyMode.PublicationOnly
        );

        ContextScript Generate(TenantDbContextType type)
        {
            using var scope = services.CreateScope();
            using var context = type.CreateUnbound(scope.ServiceProvider);
            var settings = context.GetService<IDbContextOptions>().FindExtension<TenantOptionsExtension>()!.Settings;
            return new ContextScript(settings, MigrationScript.Of(context, rules));
        }
    }

    /// <summary>
    /// Those of every type of tenant: what is wrong with one of them shows here, before the first tenant. To apply them,
    /// take <see cref="For(Tenant)"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    public IReadOnlyList<MigrationScript> All => _all.Value;

    /// <summary>Those that the tenant's schema has.</summary>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    public IReadOnlyList<MigrationScript> For(Tenant tenant) => For(tenant.TenantType);

    /// <summary>Those that the schema of a tenant of this type has; null: of one that has no type.</summary>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    public IReadOnlyList<MigrationScript> For(string? tenantType)
    {
        // A type that no context names is like none, so that rows cannot fill the cache.
        return _byType.GetOrAdd(
            IsNamed(tenantType) ? tenantType! : "",
            type => MigrationScript.Merge(_contexts.Value.Where(c => c.Settings.IsFor(type)).Select(c => c.Script))
        );
    }

    /// <summary>Those that the schema of a tenant of this type does not have: of contexts that are for other types.</summary>
    /// <exception cref="InvalidOperationException">The migrations are refused.</exception>
    public IReadOnlyList<MigrationScript> ForOthers(string? tenantType) =>
        MigrationScript.Merge(
            _contexts.Value.Where(c => !c.Settings.IsFor(IsNamed(tenantType) ? tenantType! : "")).Select(c => c.Script)
        );

    /// <summary>Whether a context is for tenants of this one's type, so that it may have other migrations than the rest.</summary>
    public bool IsOwnType(Tenant tenant) => IsNamed(tenant.TenantType);

    /// <summary>Whether a context is for tenants of this type.</summary>
    public bool IsNamed(string? tenantType) =>
        tenantType is not null && _contexts.Value.Any(c => c.Settings.TenantTypes.Contains(tenantType));

    private sealed record ContextScript(TenantContextSettings Settings, MigrationScript Script);
}
