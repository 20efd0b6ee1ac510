using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary>The migrations of all registered tenant contexts, one script per history.</summary>
internal sealed class TenantMigrationScripts
{
    private readonly Lazy<IReadOnlyList<MigrationScript>> _all;

    public TenantMigrationScripts(
        IServiceProvider services,
        IEnumerable<TenantDbContextType> contexts,
        IOptions<ConnectionOptions> options
    )
    {
        var rules = new MigrationRules(options.Value);

        // A failure is not remembered: the model is fixed, but what made it fail may pass.
        _all = new(() => MigrationScript.Merge(contexts.Select(Generate)), LazyThreadSafetyMode.PublicationOnly);

        MigrationScript Generate(TenantDbContextType type)
        {
            using var scope = services.CreateScope();
            using var context = type.CreateUnbound(scope.ServiceProvider);
            return MigrationScript.Of(context, rules);
        }
    }

    public IReadOnlyList<MigrationScript> All => _all.Value;
}
