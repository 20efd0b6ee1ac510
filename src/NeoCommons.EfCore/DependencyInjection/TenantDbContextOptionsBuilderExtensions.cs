using Microsoft.EntityFrameworkCore.Infrastructure;
using NeoCommons.EfCore;

namespace Microsoft.EntityFrameworkCore;

/// <summary>What a tenant context may be told besides EF's own options.</summary>
public static class TenantDbContextOptionsBuilderExtensions
{
    /// <summary>Says how the context reaches its tenant's schema.</summary>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    /// <param name="binding">The binding. <value>Default: <see cref="SchemaBinding.SearchPath"/>.</value></param>
    public static DbContextOptionsBuilder UseSchemaBinding(
        this DbContextOptionsBuilder options,
        SchemaBinding binding
    ) =>
        Enum.IsDefined(binding)
            ? options.Change(settings => settings with { Binding = binding })
            : throw new ArgumentOutOfRangeException(nameof(binding), binding, "There is no such binding.");

    /// <inheritdoc cref="UseSchemaBinding(DbContextOptionsBuilder, SchemaBinding)"/>
    public static DbContextOptionsBuilder<TContext> UseSchemaBinding<TContext>(
        this DbContextOptionsBuilder<TContext> options,
        SchemaBinding binding
    )
        where TContext : DbContext
    {
        UseSchemaBinding((DbContextOptionsBuilder)options, binding);
        return options;
    }

    /// <summary>
    /// Lets the context save entities that a context of another tenant has read. Without this, it throws
    /// <see cref="TenantIsolationException"/>: an entity that was cached, or handed on, would be written into the wrong schema.
    /// </summary>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    public static DbContextOptionsBuilder AllowEntitiesOfOtherTenants(this DbContextOptionsBuilder options) =>
        options.Change(settings => settings with { AllowsEntitiesOfOtherTenants = true });

    /// <inheritdoc cref="AllowEntitiesOfOtherTenants(DbContextOptionsBuilder)"/>
    public static DbContextOptionsBuilder<TContext> AllowEntitiesOfOtherTenants<TContext>(
        this DbContextOptionsBuilder<TContext> options
    )
        where TContext : DbContext
    {
        AllowEntitiesOfOtherTenants((DbContextOptionsBuilder)options);
        return options;
    }

    internal static DbContextOptionsBuilder Change(
        this DbContextOptionsBuilder options,
        Func<TenantContextSettings, TenantContextSettings> change
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        var current = options.Options.FindExtension<TenantOptionsExtension>()?.Settings ?? new TenantContextSettings();
        ((IDbContextOptionsBuilderInfrastructure)options).AddOrUpdateExtension(
            new TenantOptionsExtension(change(current))
        );
        return options;
    }
}
