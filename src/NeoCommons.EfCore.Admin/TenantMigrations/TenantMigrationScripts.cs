using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin;

/// <summary>The migrations of all registered tenant contexts.</summary>
internal sealed class TenantMigrationScripts
{
    private readonly Lazy<IReadOnlyList<MigrationScript>> _all;

    public TenantMigrationScripts(IServiceProvider services, IEnumerable<TenantDbContextType> contexts)
    {
        // A failure is not remembered: the model is fixed, but what made it fail may pass.
        _all = new(() => [.. contexts.Select(Generate)], LazyThreadSafetyMode.PublicationOnly);

        MigrationScript Generate(TenantDbContextType type)
        {
            using var scope = services.CreateScope();
            using var context = type.CreateUnbound(scope.ServiceProvider);
            return MigrationScript.Of(context);
        }
    }

    public IReadOnlyList<MigrationScript> All => _all.Value;
}
