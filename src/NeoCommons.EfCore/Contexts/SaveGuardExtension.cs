using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Lets the contexts of tenants note whose the entities are that they read.</summary>
/// <remarks>Added after all others: what replaces an entity's construction, as proxies do, is noted too then.</remarks>
internal sealed class SaveGuardExtension : IDbContextOptionsExtension
{
    public DbContextOptionsExtensionInfo Info => new SaveGuardInfo(this);

    public void ApplyServices(IServiceCollection services) =>
        services.AddSingleton<ISingletonInterceptor, EntityOwners>();

    public void Validate(IDbContextOptions options) { }

    private sealed class SaveGuardInfo(SaveGuardExtension extension) : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => "";

        public override int GetServiceProviderHashCode() => 0;

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is SaveGuardInfo;

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) =>
            debugInfo["NeoCommons:SaveGuard"] = "1";
    }
}
