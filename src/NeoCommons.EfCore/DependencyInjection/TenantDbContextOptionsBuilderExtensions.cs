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

    /// <summary>
    /// Gives each tenant a model of its own, for a context whose <c>OnModelCreating</c> really differs by tenant: it takes the
    /// tenant from <c>Database.FindTenant()</c>, and from nowhere else. Without this, one model serves all tenants, and asking for
    /// the tenant in <c>OnModelCreating</c> throws.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Prefer one model: tables that some tenants leave empty, columns of JSON, or a context class for each of a few kinds of
    /// tenants. A model of 20 entities takes about 0.3 MiB and 11 ms to build, and each tenant's queries are compiled anew, with
    /// room for fifty queries per kept model; for another size call <c>UseMemoryCache</c> with a cache of your own.
    /// </para>
    /// <para>
    /// <c>OnModelCreating</c> runs once per tenant and process, again when the tenant's row has changed, and again when the tenant
    /// comes back after <paramref name="cachedModels"/> others. What it reads besides the tenant, from a table for instance, is
    /// looked at then only. It must be thread-safe: models of several tenants may be built at a time. A model may name the tenant's
    /// own schema and the shared ones; it need not name any, whichever the binding.
    /// </para>
    /// <para>
    /// Migrations are made for the model without a tenant, where <c>Database.FindTenant()</c> is null; what a tenant's model has
    /// beyond that, its schema must get otherwise. Refused together with pooled contexts and with a model that was made
    /// beforehand.
    /// </para>
    /// </remarks>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    /// <param name="cachedModels">
    /// How many models of this context are kept, those of the tenants used last: at least as many as tenants are active at a time.
    /// <value>Default: 200.</value>
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">There is no room for one model.</exception>
    public static DbContextOptionsBuilder ModelPerSchema(this DbContextOptionsBuilder options, int cachedModels = 200)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(cachedModels, 1);
        return options.Change(settings =>
            settings with
            {
                CachedModels = cachedModels,
                ModelsOf = options.Options.ContextType,
            }
        );
    }

    /// <inheritdoc cref="ModelPerSchema(DbContextOptionsBuilder, int)"/>
    public static DbContextOptionsBuilder<TContext> ModelPerSchema<TContext>(
        this DbContextOptionsBuilder<TContext> options,
        int cachedModels = 200
    )
        where TContext : DbContext
    {
        ModelPerSchema((DbContextOptionsBuilder)options, cachedModels);
        return options;
    }

    /// <summary>
    /// Limits the context to tenants of these types (<see cref="Tenant.TenantType"/>): its migrations are applied to their
    /// schemas only, and asking for it for another tenant throws <see cref="TenantIsolationException"/>. Without this, every
    /// tenant has it.
    /// </summary>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    /// <param name="types">At least one type, compared as it is written.</param>
    /// <exception cref="ArgumentException">There is no type, or an empty one.</exception>
    public static DbContextOptionsBuilder ForTenantTypes(
        this DbContextOptionsBuilder options,
        params ReadOnlySpan<string> types
    )
    {
        string[] all = [.. types];
        if (all.Length == 0 || all.Any(string.IsNullOrWhiteSpace))
        {
            throw new ArgumentException("Name at least one type of tenant, and none that is empty.", nameof(types));
        }

        return options.Change(settings =>
            settings with
            {
                TenantTypes = [.. all.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            }
        );
    }

    /// <summary>Says what becomes of a context whose model is newer than its tenant's schema.</summary>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    /// <param name="policy">The policy. <value>Default: <see cref="SchemaBehind.Refuse"/>.</value></param>
    public static DbContextOptionsBuilder WhenSchemaIsBehind(
        this DbContextOptionsBuilder options,
        SchemaBehind policy
    ) =>
        Enum.IsDefined(policy)
            ? options.Change(settings => settings with { WhenBehind = policy })
            : throw new ArgumentOutOfRangeException(nameof(policy), policy, "There is no such policy.");

    /// <inheritdoc cref="WhenSchemaIsBehind(DbContextOptionsBuilder, SchemaBehind)"/>
    public static DbContextOptionsBuilder<TContext> WhenSchemaIsBehind<TContext>(
        this DbContextOptionsBuilder<TContext> options,
        SchemaBehind policy
    )
        where TContext : DbContext
    {
        WhenSchemaIsBehind((DbContextOptionsBuilder)options, policy);
        return options;
    }

    /// <summary>
    /// Says how long a context waits while its tenant's schema is being migrated, before it is refused with
    /// <see cref="TenantUnavailableException"/>. A context that is injected, and so made synchronously, does not wait.
    /// </summary>
    /// <param name="options">The options that <c>AddTenantDbContext</c> passes to its action.</param>
    /// <param name="longest">The longest wait. <value>Default: 5 s; zero: none; at most an hour.</value></param>
    public static DbContextOptionsBuilder WaitForMigration(this DbContextOptionsBuilder options, TimeSpan longest)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(longest, TimeSpan.FromHours(1));
        return options.Change(settings => settings with { WaitForMigration = longest });
    }

    /// <inheritdoc cref="WaitForMigration(DbContextOptionsBuilder, TimeSpan)"/>
    public static DbContextOptionsBuilder<TContext> WaitForMigration<TContext>(
        this DbContextOptionsBuilder<TContext> options,
        TimeSpan longest
    )
        where TContext : DbContext
    {
        WaitForMigration((DbContextOptionsBuilder)options, longest);
        return options;
    }

    private static DbContextOptionsBuilder Change(
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
