using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using NeoCommons.EfCore;
using NeoCommons.EfCore.Admin;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the admin database.</summary>
public static class AdminDatabaseBuilderExtensions
{
    /// <summary>
    /// Takes connections and tenants from the admin database, and adds <see cref="AdminDbContext"/>,
    /// <see cref="ITenantProvisioner"/>, <see cref="ITenantMigrator"/>, <see cref="ISecretProtector"/> and
    /// <see cref="IRegistryReload"/>.
    /// </summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configure">Changes what the configuration says.</param>
    /// <remarks>
    /// Reads <c>ADMIN_DATABASE_URL</c>, <c>DB_ENCRYPTION_KEY</c> or <c>DB_ENCRYPTION_KEY_FILE</c>, and section
    /// <c>NeoCommons:AdminDatabase</c>. A missing or malformed address or key stops the start; so does a key that reads none of
    /// the stored passwords.
    /// </remarks>
    public static NeoCommonsBuilder UseAdminDatabase(
        this NeoCommonsBuilder builder,
        Action<AdminDatabaseOptions>? configure = null
    )
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        var configuration = builder.Configuration;
        services
            .AddOptions<AdminDatabaseOptions>()
            .Bind(configuration.GetSection("NeoCommons:AdminDatabase"))
            .Configure(options =>
            {
                options.ConnectionString ??= configuration[AdminDatabaseUrl.Variable];
                options.EncryptionKey ??= configuration[FernetKeys.Variable];
                options.EncryptionKeyFile ??= configuration[KeyFile.Variable];
                configure?.Invoke(options);
            })
            .ValidateOnStart();
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<AdminDatabaseOptions>, AdminDatabaseOptionsValidation>()
        );

        services.TryAddSingleton<IEncryptionKeySource, ConfiguredKeySource>();
        services.TryAddSingleton<EncryptionKeys>();
        services.TryAddSingleton<ISecretProtector, FernetSecretProtector>();

        if (services.All(s => s.ServiceType != typeof(AdminDatabase)))
        {
            // The parts that a second call would add once more.
            services.AddSingleton<AdminDatabase>();
            services.AddDbContextFactory<AdminDbContext>(
                (provider, options) =>
                {
                    if (EF.IsDesignTime && !IsConfigured(provider))
                    {
                        // The tools build every context's options, this one's too when they are after another context.
                        options.UseAdminSchema();
                        return;
                    }

                    options
                        .UseAdminSchema(provider.GetRequiredService<AdminDatabase>().Source)
                        .AddInterceptors(
                            provider.GetRequiredService<AdminConnectionInterceptor>(),
                            provider.GetRequiredService<PasswordRebinding>()
                        );
                }
            );
            services.AddHostedService<KeysAtStart>();
            services.AddHostedService(s => s.GetRequiredService<RegistryFeed>());
            services.AddHostedService<RegistryListener>();
            services.AddHostedService<WarmPoolRefill>();
            services.AddHostedService<ServerSharing>();
            services
                .AddHealthChecks()
                .AddCheck<RegistryHealthCheck>(RegistryHealthCheck.Name, tags: ["ready"])
                .AddCheck<MigrationsHealthCheck>(MigrationsHealthCheck.Name, tags: ["ready"]);
        }

        services.TryAddSingleton<AdminConnectionInterceptor>();
        services.TryAddSingleton<AdminReads>();
        services.TryAddSingleton<AdminMigration>();

        services.TryAddSingleton<TenantCache>();
        services.TryAddSingleton<RegistryMetrics>();
        services.TryAddSingleton<RegistryChangeLog>();
        services.TryAddSingleton<SharedCache>();
        services.TryAddSingleton(s => new RecentChanges(
            s.GetRequiredService<SharedCache>().Longest,
            s.GetRequiredService<TimeProvider>()
        ));
        services.TryAddSingleton<AdminConnectionRegistry>();
        services.TryAddSingleton<AdminTenantStore>();
        services.TryAddSingleton<IConnectionRegistry>(s => s.GetRequiredService<AdminConnectionRegistry>());
        services.TryAddSingleton<ITenantStore>(s => s.GetRequiredService<AdminTenantStore>());
        services.TryAddSingleton<RegistryFeed>();
        services.TryAddSingleton<IRegistryReload>(s => s.GetRequiredService<RegistryFeed>());

        services.TryAddSingleton<TenantMigrationScripts>();
        services.TryAddSingleton<ServerLeaseTable>();
        services.TryAddSingleton<SchemaVersions>();
        services.TryAddSingleton<SharedMigration>();
        services.TryAddSingleton<TenantRights>();
        services.TryAddSingleton<TenantMigration>();
        services.TryAddSingleton<FleetPlanning>();
        services.TryAddSingleton<MigrationRuns>();
        services.TryAddSingleton<MigrationClaims>();
        services.TryAddSingleton<MigrationRunner>();
        services.TryAddSingleton<PendingMigrations>();
        services.TryAddSingleton<ConnectionTrial>();
        services.TryAddSingleton<PasswordRows>();
        services.TryAddSingleton<PasswordRebinding>();
        services.TryAddSingleton<KeyRotation>();
        services.TryAddSingleton<ITenantMigrator, TenantMigrator>();
        services.TryAddSingleton<DoctorMending>();
        services.TryAddSingleton<TenantFaults>();
        services.TryAddSingleton<SecondLook>();
        services.TryAddSingleton<ITenantDoctor, TenantDoctor>();
        AddLifecycle(services, configuration);
        return builder;
    }

    /// <summary>Takes connections and tenants from the admin database at this address.</summary>
    /// <param name="builder">The builder.</param>
    /// <param name="connectionString">A <c>postgresql://</c> URL or Npgsql keywords.</param>
    /// <inheritdoc cref="UseAdminDatabase(NeoCommonsBuilder, Action{AdminDatabaseOptions}?)"/>
    public static NeoCommonsBuilder UseAdminDatabase(this NeoCommonsBuilder builder, string connectionString) =>
        builder.UseAdminDatabase(options => options.ConnectionString = connectionString);

    /// <summary>Brings the <c>admin</c> schema up to date; several processes may call this at once.</summary>
    /// <exception cref="ConnectionUnavailableException">The admin database cannot be used.</exception>
    public static Task MigrateAdminDatabaseAsync(this IServiceProvider provider, CancellationToken ct = default) =>
        provider.GetRequiredService<AdminMigration>().MigrateAsync(ct);

    private static void AddLifecycle(IServiceCollection services, IConfiguration configuration)
    {
        if (services.All(s => s.ServiceType != typeof(ITenantProvisioner)))
        {
            services
                .AddOptions<TenantLifecycleOptions>()
                .Bind(configuration.GetSection("NeoCommons:Lifecycle"))
                .ValidateOnStart();
            services
                .AddOptions<WarmPoolOptions>()
                .Bind(configuration.GetSection("NeoCommons:WarmPool"))
                .ValidateOnStart();
        }

        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<TenantLifecycleOptions>, TenantLifecycleOptionsValidation>()
        );
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<WarmPoolOptions>, WarmPoolOptionsValidation>()
        );
        services.TryAddSingleton<ILifecycleActor, ProcessActor>();
        services.TryAddSingleton<TenantAudit>();
        services.TryAddSingleton<LifecycleHooks>();
        services.TryAddSingleton<LifecycleRun>();
        services.TryAddSingleton<TenantPlaces>();
        services.TryAddSingleton<TenantReservation>();
        services.TryAddSingleton<ITenantPlacement, LeastTenantsPlacement>();
        services.TryAddSingleton<RelationCounts>();
        services.TryAddSingleton<TenantPlacing>();
        services.TryAddSingleton<CreationUndo>();
        services.TryAddSingleton<TenantCreationSteps>();
        services.TryAddSingleton<TenantCreation>();
        services.TryAddSingleton<SchemaBuilding>();
        services.TryAddSingleton<TemplateRefresh>();
        services.TryAddSingleton<WarmSchemas>();
        services.TryAddSingleton<WarmSchemaStock>();
        services.TryAddSingleton<TenantStates>();
        services.TryAddSingleton<TenantLimiting>();
        services.TryAddSingleton<SchemaExport>();
        services.TryAddSingleton<TenantRemoval>();
        services.TryAddSingleton<ITenantProvisioner, TenantProvisioner>();
    }

    private static bool IsConfigured(IServiceProvider provider)
    {
        try
        {
            return provider.GetRequiredService<IOptions<AdminDatabaseOptions>>().Value is not null;
        }
        catch (OptionsValidationException)
        {
            return false;
        }
    }
}
