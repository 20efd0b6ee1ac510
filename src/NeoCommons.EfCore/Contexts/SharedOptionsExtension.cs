using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore;

/// <summary>Marks the options of a context of shared tables, and names their schema.</summary>
/// <param name="schema">The schema of whatever the model maps without one.</param>
/// <param name="others">Further schemas that the model may name.</param>
internal sealed class SharedOptionsExtension(SchemaName schema, IReadOnlyList<string> others)
    : IDbContextOptionsExtension
{
    public SchemaName Schema => schema;

    public IReadOnlyList<string> Others => others;

    public DbContextOptionsExtensionInfo Info => new SharedExtensionInfo(this);

    public void ApplyServices(IServiceCollection services)
    {
        services.AddScoped<SharedLease>();
        services.AddScoped<IConventionSetPlugin, SharedSchemaConvention>();
        services.AddScoped<IInterceptor, SharedConnectionInterceptor>();
    }

    public void Validate(IDbContextOptions options) => ThrowIfUnsafe(options);

    /// <summary>Refuses options that would lead elsewhere.</summary>
    /// <exception cref="InvalidOperationException">They bring a connection, or another schema for the history.</exception>
    public void ThrowIfUnsafe(IDbContextOptions options)
    {
        var relational = RelationalOptionsExtension.Extract(options);
        if (relational.Connection is not null || relational.ConnectionString is not null)
        {
            throw new InvalidOperationException(
                "A context of shared tables gets its connection from the registry: call UseNpgsql() without a connection, "
                    + "connection string or data source."
            );
        }

        if (relational.MigrationsHistoryTableSchema is { } history && history != schema.Value)
        {
            throw new InvalidOperationException(
                $"The migrations history of a context of shared tables lies in their schema, '{schema}'; remove the schema "
                    + $"'{history}' from MigrationsHistoryTable(...)."
            );
        }
    }

    private sealed class SharedExtensionInfo(SharedOptionsExtension extension)
        : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => "using shared tables ";

        public override int GetServiceProviderHashCode() => extension.Schema.GetHashCode();

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is SharedExtensionInfo { Extension: SharedOptionsExtension known }
            && known.Schema.Equals(extension.Schema);

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) =>
            debugInfo["NeoCommons:SharedTables"] = extension.Schema.Value;
    }
}
